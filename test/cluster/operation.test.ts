import { afterEach, expect, test } from '@jest/globals';
import { existsSync, readdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { eventually, startGateway, type GatewayProcess } from '../support/gateway-process.js';

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Where the shared quote table of a boot may be. */
function tablesOf(primaryPid: number | undefined): readonly string[] {
  return ['/dev/shm', tmpdir()].flatMap((base) =>
    (existsSync(base) ? readdirSync(base) : [])
      .filter((name) => name.startsWith('opitios-quotes-') && name.endsWith(`-${String(primaryPid)}`))
      .map((name) => join(base, name)),
  );
}

let gateway: GatewayProcess | undefined;
afterEach(() => gateway?.stop(), 60_000);

test('a reload adds and removes accounts and keeps the worker processes; a broken file changes nothing', async () => {
  gateway = await startGateway({ accounts: 6, workers: 2 });
  const running = gateway;
  const pids = (await running.pool()).workers.map(({ pid }) => pid);
  const [first = '', second = ''] = running.accountIds;
  running.rewriteConfig((config) => {
    const accounts = config['trading_accounts'] as { account_id: string }[];
    accounts.shift();
    const renamed = accounts[0];
    if (renamed !== undefined) renamed.account_id = 'fresh';
  });
  await eventually(
    async () => (await running.get('/accounts/fresh/account')).status === 200,
    'the new account answers',
  );
  expect((await running.get(`/accounts/${first}/account`)).status).toBe(404);
  expect((await running.get(`/accounts/${second}/account`)).status).toBe(404);

  running.rewriteConfig((config) => {
    config['no_such_key'] = true;
  });
  running.primary.kill('SIGHUP');
  await eventually(() => running.output().includes('configuration not reloaded'), 'the refusal is logged');
  expect((await running.get('/accounts/fresh/account')).status).toBe(200);
  expect((await running.pool()).workers.map(({ pid }) => pid)).toEqual(pids);
}, 90_000);

test('while the only worker is dead, connections wait for the next one instead of being refused', async () => {
  gateway = await startGateway({ accounts: 2, workers: 1, config: { cluster: { warm_spare: true } } });
  const running = gateway;
  const [accountId = ''] = running.accountIds;
  const statuses: number[] = [];
  const failures: string[] = [];
  for (let round = 0; round < 3; round += 1) {
    const pid = await running.signalWorker((await running.pool()).workers[0]?.slot ?? 0, 'SIGKILL');
    await eventually(() => !isAlive(pid), 'the worker is dead');
    // A connection of its own: one that the dead worker held is gone with it.
    const headers = { authorization: `Bearer ${await running.token()}`, connection: 'close' };
    await fetch(`${running.url}/api/v1/accounts/${accountId}/account`, { headers }).then(
      (response) => statuses.push(response.status),
      (cause: unknown) => failures.push(String((cause as { cause?: unknown }).cause)),
    );
  }

  expect([statuses, failures]).toEqual([[200, 200, 200], []]);
}, 90_000);

test('SIGTERM drains: the primary ends with 0, and no worker and no memory is left', async () => {
  gateway = await startGateway({ accounts: 3, workers: 2, config: { cluster: { warm_spare: true } } });
  const pids = (await gateway.pool()).workers.map(({ pid }) => pid);
  const tables = tablesOf(gateway.primary.pid);
  expect(tables.map((table) => existsSync(table))).toContain(true);
  const ended = new Promise((resolve) => gateway?.primary.once('exit', (code) => resolve(code)));
  gateway.primary.kill('SIGTERM');

  expect(await ended).toBe(0);
  for (const pid of pids) expect(() => process.kill(pid, 0)).toThrow();
  expect(tables.map((table) => existsSync(table))).not.toContain(true);
}, 90_000);

test('a port in use ends the start with one line', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  const { port } = other.address() as { readonly port: number };
  const starting = startGateway({ accounts: 2, config: { server: { port } } });

  await expect(starting).rejects.toThrow(/EADDRINUSE/);
  other.close();
}, 90_000);
