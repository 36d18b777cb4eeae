import { afterEach, expect, test } from '@jest/globals';
import { eventually, startGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { percentiles, tell } from '../../support/order-load.js';

const STOPS = process.env['OPITIOS_LONG'] === '1' ? 20 : 1;
let gateway: GatewayProcess | undefined;
afterEach(() => gateway?.stop(), 60_000);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test(`a worker that is stopped with an order under way is replaced, ${STOPS} times; nothing is left that could be resumed, and the order is at the broker once`, async () => {
  gateway = await startGateway({
    accounts: 2,
    simulator: ['--rate', '100000'],
    config: { alpaca: { rate_limit_per_minute: 100_000 }, cluster: { warm_spare: true } },
  });
  const running = gateway;
  const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day' };
  const replacedMs: number[] = [];
  for (let stop = 0; stop < STOPS; stop += 1) {
    const accountId = running.accountIds[0] ?? '';
    const owner = (await running.pool()).accounts.find(({ account_id }) => account_id === accountId)?.owner ?? 0;
    // The broker takes it and answers late: the worker stands still between the two.
    await running.simulator.control.switchOn({ fault: { kind: 'latency', ms: 1_500 }, method: 'POST', count: 1 });
    const answer = running
      .post(`/accounts/${accountId}/orders/stocks`, order, { 'idempotency-key': `stop-${stop}` })
      .then((response) => response.status)
      .catch(() => 0);
    const at = performance.now();
    const pid = await running.signalWorker(owner, 'SIGSTOP');
    await eventually(() => !isAlive(pid), 'the stopped worker is killed');
    await eventually(async () => {
      const { workers } = await running.pool();
      return workers.length === 2 && workers.every((one) => one.state === 'ready' && one.pid !== pid);
    }, 'it is replaced');
    replacedMs.push(performance.now() - at);
    expect(() => process.kill(pid, 'SIGCONT')).toThrow(/ESRCH/);
    await answer;
    await eventually(async () => {
      const again = await running.post(`/accounts/${accountId}/orders/stocks`, order, {
        'idempotency-key': `stop-${stop}`,
      });
      return again.status === 201;
    }, 'the order is known');
  }
  const ids = (await running.simulator.control.orders()).map(({ client_order_id }) => client_order_id);
  if (STOPS > 1) tell(`${STOPS} stopped workers: replaced and ready ${percentiles(replacedMs)}`);

  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBe(STOPS);
}, 600_000);
