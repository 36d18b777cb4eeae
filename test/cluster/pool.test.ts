import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually, startGateway, startPrimaryProcess, type GatewayProcess } from '../support/gateway-process.js';

let gateway: GatewayProcess;

beforeAll(async () => {
  gateway = await startGateway({
    accounts: 24,
    workers: 2,
    editAccounts: (accounts) => {
      const bad = accounts[3];
      if (bad !== undefined) bad.secret_key = `${bad.secret_key}-wrong`;
    },
  });
}, 90_000);
afterAll(() => gateway.stop(), 60_000);

async function idOf(accountId: string): Promise<{ readonly status: number; readonly number: unknown }> {
  const response = await gateway.get(`/accounts/${accountId}/account`);
  const body = (await response.json()) as { readonly account_number?: unknown };
  return { status: response.status, number: body.account_number };
}

test('every account answers with its own account, through whichever worker; a bad key fails its own alone', async () => {
  const [good, bad] = [gateway.accountIds.filter((_, n) => n !== 3), gateway.accountIds[3] ?? ''];
  const numbers = new Map<string, unknown>();
  for (let round = 0; round < 3; round += 1) {
    const answers = await Promise.all(good.map(async (id) => ({ id, ...(await idOf(id)) })));
    for (const { id, status, number } of answers) {
      expect([id, status]).toEqual([id, 200]);
      expect(numbers.get(id) ?? number).toBe(number);
      numbers.set(id, number);
    }
  }
  expect(new Set(numbers.values()).size).toBe(good.length);
  expect((await idOf(bad)).status).toBeGreaterThanOrEqual(400);
  const failed = (await gateway.pool()).accounts.filter(({ state }) => state === 'failed');
  expect(failed.map(({ account_id }) => account_id)).toEqual([bad]);
});

test('a second primary of the same data directory is refused in one line', async () => {
  const second = startPrimaryProcess(gateway.configFile);
  const errors: string[] = [];
  second.stderr?.on('data', (chunk: Buffer) => errors.push(String(chunk)));
  const code = await new Promise((resolve) => second.once('close', resolve));

  expect(code).toBe(1);
  expect(errors.join('').trim().split('\n')).toEqual([expect.stringContaining('another gateway already runs')]);
});

test.each(['SIGKILL', 'SIGSTOP'] as const)(
  'after %s of a worker the pool is whole again and no caller hangs',
  async (signal) => {
    const before = await gateway.pool();
    const victim = before.workers[0]?.slot ?? 0;
    const others = new Set(before.accounts.filter(({ owner }) => owner !== victim).map(({ account_id }) => account_id));
    const seen = { done: false, answers: 0, failedOnOthers: 0 };
    const readers = Array.from({ length: 20 }, async (_, n) => {
      for (let turn = n; !seen.done; turn += 1) {
        const accountId = gateway.accountIds[turn % gateway.accountIds.length] ?? '';
        const status = await idOf(accountId).then((answer) => answer.status, () => 0); // prettier-ignore
        seen.answers += 1;
        // A connection that the dead worker held is gone with it (0); an answer about a living owner is not an error.
        if (status >= 500 && others.has(accountId) && accountId !== gateway.accountIds[3]) seen.failedOnOthers += 1;
      }
    });
    const killedAt = Date.now();
    const pid = await gateway.signalWorker(victim, signal);
    await eventually(async () => {
      const { workers } = await gateway.pool();
      return workers.length === 2 && workers.every((one) => one.state === 'ready' && one.pid !== pid);
    }, 'a worker is replaced');
    process.stdout.write(`whole again ${Date.now() - killedAt} ms after ${signal}\n`);
    seen.done = true;
    await Promise.all(readers);

    expect(seen.answers).toBeGreaterThan(20);
    expect(seen.failedOnOthers).toBe(0);
    for (const id of gateway.accountIds.filter((_, n) => n !== 3))
      expect([id, (await idOf(id)).status]).toEqual([id, 200]);
  },
  60_000,
);
