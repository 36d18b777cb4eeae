/** Workers that die young, one after the other, and what readiness says once the last of them is replaced. */
import { afterEach, expect, test } from '@jest/globals';
import { eventually, startGateway, type GatewayProcess } from '../support/gateway-process.js';

let gateway: GatewayProcess | undefined;
afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
}, 60_000);

test('after five young deaths the gateway is ready again as soon as all accounts trade', async () => {
  gateway = await startGateway({ accounts: 2, workers: 1, config: { cluster: { warm_spare: false } } });
  const running = gateway;
  for (let death = 0; death < 5; death += 1) {
    const pid = await running.signalWorker((await running.pool()).workers[0]?.slot ?? 0, 'SIGKILL');
    await eventually(
      async () => {
        const next = await running.pool().catch(() => undefined);
        return next?.workers.some((worker) => worker.pid !== pid) === true;
      },
      `death ${death + 1} is followed by a worker`,
    );
  }

  const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
  for (const accountId of running.accountIds)
    expect((await running.post(`/accounts/${accountId}/orders/stocks`, order)).status).toBe(201);
  await eventually(async () => (await fetch(`${running.adminUrl}/health/ready`)).status === 200, 'it is ready');
}, 90_000);
