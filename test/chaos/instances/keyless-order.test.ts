/**
 * An order whose caller named neither key nor id, at an instance that does not hold the account, while the one that does
 * is killed with the order at the broker: its id was decided where it was read, so every way leads to the same order.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually, restartGateway } from '../../support/gateway-process.js';
import { callerOf } from '../../support/gateway-orders.js';
import { startInstances, type Instances } from '../../support/instances.js';
import { hasRedis } from '../../support/redis-process.js';

const whenRedis = hasRedis() ? test : test.skip;
const isLong = process.env['OPITIOS_LONG'] === '1';
const LATE_MS = 2_500;
let prices = 0;
let instances: Instances | undefined;

beforeAll(async () => {
  if (hasRedis())
    instances = await startInstances(['alpha', 'beta'], { accounts: 4, simulator: ['--fills', 'manual'] });
}, 120_000);

afterAll(async () => {
  await instances?.stop();
}, 60_000);

function all(): Instances {
  if (instances === undefined) throw new TypeError('the instances did not start');
  return instances;
}

async function accountOfBeta(): Promise<string> {
  let found: string | undefined;
  await eventually(async () => {
    const pools = await Promise.all(
      all().gateways.map((_, n) =>
        all()
          .named(n === 0 ? 'alpha' : 'beta')
          .pool(),
      ),
    );
    found = pools[1]?.accounts.find(({ state }) => state === 'ready')?.account_id;
    return found !== undefined && pools.every(({ leases }) => leases?.members.length === 2);
  }, 'beta holds an account');
  return found ?? '';
}

async function killedWithOrderAtBroker(when: 'before' | 'after', body: Record<string, unknown>): Promise<void> {
  const { control } = all().simulator;
  const accountId = await accountOfBeta();
  const call = await callerOf(all().named('alpha'));
  const beta = all().named('beta');
  const sentBefore = (await all().sent()).length;
  await control.switchOn({
    fault: { kind: 'latency', ms: LATE_MS, when },
    accounts: [accountId],
    method: 'POST',
    count: 1,
  });
  const price = (1 + (prices += 1) / 100).toFixed(2);
  const asking = call('POST', `/accounts/${accountId}/orders/stocks`, { ...body, limit_price: price });
  await eventually(async () => (await all().sent()).length > sentBefore, 'the order is at the broker');
  await all().signal('beta', 'SIGKILL');

  const told = await asking;
  const orders = (await control.orders({ accountId })).filter(
    (order) => Number(order['limit_price']) === Number(price),
  );

  expect(orders).toHaveLength(1);
  expect([201, 202]).toContain(told.status);
  expect(told.json['client_order_id']).toBe(orders[0]?.client_order_id);
  await eventually(async () => {
    const looked = await call('GET', `/accounts/${accountId}/orders/by-client-order-id/${orders[0]?.client_order_id}`);
    return looked.status === 200 && looked.json['id'] === orders[0]?.id;
  }, 'the caller finds it where it was told');
  all().replace('beta', await restartGateway(beta));
}

const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day' };

whenRedis(
  'two instances, POST without key at A for an account of B, broker answers 2.5 s late, kill -9 of B: one order, and A tells the truth',
  () => killedWithOrderAtBroker('after', ORDER),
  120_000,
);

if (isLong)
  whenRedis('the same while the broker takes the order late', () => killedWithOrderAtBroker('before', ORDER), 120_000);
