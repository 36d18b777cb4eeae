/** The spare worker rehearses on a stage of its own: nothing of it is left, and nobody outside has noticed. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { trailOf } from '../support/audit-trail.js';
import { eventually, startGateway, type GatewayProcess } from '../support/gateway-process.js';

let gateway: GatewayProcess | undefined;
let temporary = '';
beforeEach(() => {
  temporary = mkdtempSync(join(tmpdir(), 'opitios-spare-'));
});
afterEach(async () => {
  await gateway?.stop();
  rmSync(temporary, { recursive: true, force: true });
}, 60_000);

test('a spare worker rehearses, leaves no trace of it, and then takes over', async () => {
  gateway = await startGateway({
    ...{ accounts: 1, workers: 1 },
    config: { cluster: { warm_spare: true }, market_data: { shared_memory_dir: temporary } },
  });
  const running = gateway;
  const [accountId = ''] = running.accountIds;
  await eventually(() => running.output().includes('"msg":"rehearsed"'), 'the spare has rehearsed');

  // Only the table, and the marks of first bytes.
  expect(readdirSync(temporary).sort()).toEqual([
    expect.stringMatching(`-${String(running.primary.pid)}$`),
    expect.stringMatching(/^opitios-sent-/),
  ]);
  expect((await running.simulator.control.ledger({ method: 'POST' })).entries).toEqual([]);
  const metrics = await (await fetch(`${running.adminUrl}/metrics`)).text();
  expect(metrics).not.toMatch(/^opitios_(?:order_outcomes|order_attempts|account_reads)_total(?:\{.*\})? [1-9]/m);
  expect(trailOf(running)).not.toContain('rehearsal');
  expect((await running.pool()).accounts.map(({ account_id }) => account_id)).toEqual([accountId]);

  const pid = await running.signalWorker((await running.pool()).workers[0]?.slot ?? 0, 'SIGKILL');
  const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
  const placed = await running.post(`/accounts/${accountId}/orders/stocks`, order);
  expect([placed.status, (await running.pool()).workers[0]?.pid === pid]).toEqual([201, false]);
}, 90_000);

test('a spare that is ended in its rehearsal leaves nothing behind either', async () => {
  gateway = await startGateway({
    ...{ accounts: 1, workers: 1 },
    config: { cluster: { warm_spare: true }, market_data: { shared_memory_dir: temporary } },
  });
  await eventually(() => readdirSync(temporary).some((name) => name.includes('rehearsal')), 'the rehearsal begins');
  await gateway.stop();
  gateway = undefined;

  expect(readdirSync(temporary)).toEqual([]);
}, 90_000);

test('of the workers that are forked early the one that nobody needs is ended', async () => {
  gateway = await startGateway({ accounts: 1, workers: 1, config: { cluster: { warm_spare: false } } });
  const { primary } = gateway;
  const children = (): string[] =>
    readFileSync(`/proc/${String(primary.pid)}/task/${String(primary.pid)}/children`, 'utf8')
      .trim()
      .split(' ');
  const { workers } = await gateway.pool();

  await eventually(() => children().length === 1, 'one child is left');
  expect(children()).toEqual([String(workers[0]?.pid)]);
}, 90_000);
