/** Readers over a pool of workers: how many connections they cost, and what a kill costs them. */
import { afterEach, expect, test } from '@jest/globals';
import { eventually, type GatewayProcess } from '../support/gateway-process.js';
import { startGateway } from '../support/gateway-under-test.js';
import { KeepAliveClients, type Answered } from '../support/keep-alive-clients.js';

let gateway: GatewayProcess | undefined;
const keepAlive = new KeepAliveClients();
afterEach(async () => {
  await keepAlive.close();
  await gateway?.stop();
}, 60_000);

test('10 000 reads over 200 accounts open no connection to the broker', async () => {
  gateway = await startGateway({ accounts: 200, workers: 2, simulator: ['--rate', '100000'] });
  const running = gateway;
  const clients = await keepAlive.of(running, 20);
  const before = await running.simulator.control.counters();
  let next = 0;
  const failed: string[] = [];
  await Promise.all(
    clients.map(async (ask) => {
      while (next < 10_000) {
        const turn = next++;
        const id = running.accountIds[turn % 200] ?? '';
        // Every tenth goes to the broker itself.
        const { status } = await ask(`/accounts/${id}/${turn % 10 === 0 ? 'account?fresh=true' : 'positions'}`);
        if (status !== 200) failed.push(`${id} ${status}`);
      }
    }),
  );
  const after = await running.simulator.control.counters();
  expect(failed).toEqual([]);
  expect(after.requestsTotal - before.requestsTotal).toBeGreaterThanOrEqual(500);
  // The one connection of the control door is another port's.
  expect(after.connections.opened).toBe(before.connections.opened);
}, 90_000);

test('kill -9 of a worker under 50 clients: nobody hangs, the pool is whole again, the others see no error', async () => {
  gateway = await startGateway({
    ...{ accounts: 40, workers: 2, simulator: ['--rate', '100000'] },
    config: { cluster: { warm_spare: true } },
  });
  const running = gateway;
  const before = await running.pool();
  const others = new Set(before.accounts.filter(({ owner }) => owner !== 0).map(({ account_id }) => account_id));
  const clients = await keepAlive.of(running, 50);
  const seen = { done: false, answers: 0, cut: 0, wrong: [] as string[] };
  const readers = clients.map(async (ask, n) => {
    for (let turn = n; !seen.done; turn += 1) {
      const id = running.accountIds[turn % running.accountIds.length] ?? '';
      const deadline = new Promise<Answered>((resolve) => setTimeout(resolve, 20_000, { status: -1, text: 'hung' }));
      const { status, text } = await Promise.race([
        ask(`/accounts/${id}/account`).catch(() => ({ status: 0, text: '' })),
        deadline,
      ]);
      seen.answers += 1;
      // Its connection was the dead worker's: the client sees a reset and connects again.
      if (status === 0) seen.cut += 1;
      else if (status === -1 || (others.has(id) && status !== 200)) seen.wrong.push(`${id} ${status} ${text}`);
    }
  });
  await eventually(() => seen.answers > 500, 'the clients read');
  const killedAt = Date.now();
  const pid = await running.signalWorker(0, 'SIGKILL');
  await eventually(async () => {
    const pool = await running.pool();
    return (
      pool.workers.length === before.workers.length &&
      pool.workers.every((one) => one.state === 'ready' && one.pid !== pid) &&
      pool.accounts.every(({ state }) => state === 'ready')
    );
  }, 'the pool is whole');
  process.stdout.write(
    `whole again ${Date.now() - killedAt} ms after the kill; ${seen.answers} answers, ${seen.cut} cut\n`,
  );
  seen.done = true;
  await Promise.all(readers);

  expect(seen.wrong).toEqual([]);
  expect(seen.cut).toBeLessThanOrEqual(50);
  for (const id of running.accountIds) expect((await running.get(`/accounts/${id}/account`)).status).toBe(200);
}, 90_000);
