/** A worker is killed with many orders under way: most of them still wait for a place, and that is known of them. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually, startGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { tell } from '../../support/order-load.js';

const ORDERS = 100;
/** The broker takes an order at once and answers so late: what a caller asks again comes long before. */
const LATE_MS = 20_000;
/** So many orders are at the broker at a time. */
const PLACES = 8;

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway({
    ...{ accounts: 2, workers: 2 },
    simulator: ['--rate', '100000', '--fills', 'manual', '--cash', '100000000'],
    config: {
      alpaca: { rate_limit_per_minute: 100_000, pool_connections: PLACES },
      cluster: { warm_spare: true },
      limits: { request_timeout_ms: 15_000 },
    },
  });
}, 90_000);
afterAll(() => gateway.stop(), 60_000);

const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day' };
const priceOf = (n: number): string => (1 + n / 100).toFixed(2);

async function ask(accountId: string, n: number): Promise<number> {
  const body = { ...ORDER, limit_price: priceOf(n) };
  const response = await gateway
    .post(`/accounts/${accountId}/orders/stocks`, body, { 'idempotency-key': `under-way-${n}` })
    .catch(() => undefined);
  await response?.arrayBuffer().catch(() => undefined);
  return response?.status ?? 0;
}

/** As a program does whose connection broke, or that was told to come again. */
async function untilTold(accountId: string, n: number): Promise<number> {
  for (;;) {
    const status = await ask(accountId, n);
    if (status === 201 || status === 202) return status;
  }
}

test('100 orders under way at a slow broker, kill -9 of the worker: same keys again, each exactly once, unknown only those whose bytes had left', async () => {
  const { control } = gateway.simulator;
  const { accounts, workers } = await gateway.pool();
  const account = accounts[0];
  const accountId = account?.account_id ?? '';
  const victim = workers.find(({ slot }) => slot === account?.owner)?.pid ?? 0;
  const atBroker = async (): Promise<readonly string[]> =>
    (await control.orders({ accountId })).map((order) => Number(order['limit_price']).toFixed(2));
  const [slow] = await control.switchOn({
    fault: { kind: 'latency', ms: LATE_MS },
    ...{ accounts: [accountId], method: 'POST' },
  });
  const numbers = Array.from({ length: ORDERS }, (_, n) => n);

  const first = numbers.map((n) => ask(accountId, n));
  await eventually(async () => {
    const audited = await gateway.get(`/accounts/${accountId}/audit?kinds=intent&limit=1000`);
    return ((await audited.json()) as { readonly count: number }).count === ORDERS;
  }, 'each is written down');
  await eventually(async () => (await atBroker()).length === PLACES, 'no further order leaves');
  // Those under way stay slow.
  await control.switchOff(slow);
  process.kill(victim, 'SIGKILL');
  await Promise.all(first);
  const again = await Promise.all(numbers.map((n) => untilTold(accountId, n)));
  const unknown = again.filter((status) => status === 202).length;
  tell(`${ORDERS} orders under way, ${PLACES} had left at the kill, ${unknown} unknown at the first answer after it`);

  expect(unknown).toBeLessThanOrEqual(PLACES);
  await eventually(async () => {
    const states = await Promise.all(numbers.map((n) => ask(accountId, n)));
    return states.every((status) => status === 201);
  }, 'every one is known');
  expect([...(await atBroker())].sort()).toEqual(numbers.map(priceOf).sort());
}, 120_000);
