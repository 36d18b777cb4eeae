/** Every kind of order through a whole gateway: what reached the broker, how often, and what the caller was told. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { aKey, askBroker, callerOf, ledgerEnd, writesSince, type Caller } from '../support/gateway-orders.js';
import { eventually, type GatewayProcess } from '../support/gateway-process.js';
import { startGateway } from '../support/gateway-under-test.js';

let gateway: GatewayProcess;
let call: Caller;
let contracts: readonly string[];

beforeAll(async () => {
  gateway = await startGateway({
    accounts: 4,
    simulator: ['--rate', '100000', '--fills', 'manual', '--cash', '100000000', '--options', 'AAPL'],
    config: { orders: { answer_deadline_ms: 1_000 } },
  });
  call = await callerOf(gateway);
  await gateway.simulator.control.setPrice('AAPL', 200);
  const from = new Date(Date.now() + 10 * 86_400_000).toISOString().slice(0, 10);
  const found = await call(
    'GET',
    `/options/contracts?underlying_symbols=AAPL&type=call&limit=20&expiration_date_gte=${from}`,
  );
  contracts = (found.json['option_contracts'] as { symbol: string }[]).map(({ symbol }) => symbol);
}, 90_000);
afterAll(() => gateway.stop(), 60_000);

const STOCKS = '/accounts/account_001/orders/stocks';
const OPTIONS = '/accounts/account_001/orders/options';
const base = { symbol: 'AAPL', qty: '2', side: 'buy' };

const plain = ['day', 'gtc', 'ioc', 'fok', 'opg', 'cls'].flatMap((time_in_force) => [
  { ...base, type: 'market', time_in_force },
  { ...base, type: 'limit', limit_price: '100.00', time_in_force },
]);
const stops = ['day', 'gtc'].flatMap((time_in_force) => [
  { ...base, type: 'stop', stop_price: '100000', time_in_force },
  { ...base, type: 'stop_limit', stop_price: '100000', limit_price: '100001.50', time_in_force },
  { ...base, type: 'trailing_stop', trail_percent: '1.5', time_in_force },
  { ...base, type: 'trailing_stop', trail_price: '3.25', time_in_force },
]);
const exits = { take_profit: { limit_price: '301' }, stop_loss: { stop_price: '90', limit_price: '89.50' } };
const others = [
  { ...base, type: 'market', time_in_force: 'gtc', order_class: 'bracket', ...exits },
  { ...base, side: 'sell', type: 'limit', time_in_force: 'gtc', order_class: 'oco', ...exits },
  { ...base, type: 'market', time_in_force: 'day', order_class: 'oto', take_profit: { limit_price: '301' } },
  { ...base, type: 'limit', limit_price: '99', time_in_force: 'day', order_class: 'oto', stop_loss: { stop_price: '90' } },
  { ...base, qty: '0.123456789', type: 'market', time_in_force: 'day' },
  { ...base, qty: 1.5, type: 'limit', limit_price: 100.25, time_in_force: 'day' },
  { symbol: 'AAPL', notional: '1500.50', side: 'buy', type: 'market', time_in_force: 'day' },
  { ...base, type: 'limit', limit_price: '100.10', time_in_force: 'day', extended_hours: true },
  { ...base, type: 'limit', limit_price: '100.00', time_in_force: 'ioc', client_order_id: 'mine-1' },
]; // prettier-ignore
const stockOrders: readonly Record<string, unknown>[] = [...plain, ...stops, ...others];

const named = (order: Record<string, unknown>): string =>
  ['order_class', 'type', 'time_in_force', 'qty', 'notional', 'client_order_id', 'extended_hours']
    .flatMap((field) => (order[field] === undefined ? [] : [`${field}=${JSON.stringify(order[field])}`]))
    .join(' ');

async function reachesTheBrokerAsItIs(place: string, order: Record<string, unknown>): Promise<void> {
  const since = await ledgerEnd(gateway);
  const answer = await call('POST', place, order, aKey());
  expect(`${answer.status} ${answer.text}`).toMatch(/^201 /);
  const arrivals = await writesSince(gateway, since);
  expect(arrivals.map(({ method, path }) => `${method} ${path}`)).toEqual(['POST /v2/orders']);
  const { client_order_id: id, ...fields } = JSON.parse(arrivals[0]?.body ?? '') as Record<string, unknown>;
  const { client_order_id: mine, ...asked } = order;
  expect(fields).toEqual(asked);
  expect(answer.json['client_order_id']).toBe(id);
  if (mine !== undefined) expect(id).toBe(mine);
  const orderId = String(answer.json['id']);
  expect(answer.headers.get('location')).toBe(`/api/v1/accounts/account_001/orders/${orderId}`);
  expect(answer.headers.get('idempotency-replayed')).toBe('false');
  const own = await askBroker(gateway, 0, `/v2/orders/${orderId}`);
  expect((await call('GET', `/accounts/account_001/orders/${orderId}?fresh=true`)).text).toBe(own);
}

/** So that one order of the table is no wash trade of another, and a sale has something to sell. */
async function cleanSlate(): Promise<void> {
  for (const order of await gateway.simulator.control.orders({ accountId: 'account_001' })) {
    if (['new', 'accepted', 'held', 'partially_filled', 'pending_new'].includes(order['status']))
      await gateway.simulator.control.cancel(order['id']);
  }
  await gateway.simulator.control.setPosition('account_001', 'AAPL', '100', '150');
}

test.each(stockOrders.map((order) => [named(order), order] as const))(
  'a stock order reaches the broker once and as it is: %s',
  async (_name, order) => {
    await cleanSlate();
    await reachesTheBrokerAsItIs(STOCKS, order);
  },
);

test('option orders of one leg and of two reach the broker once and as they are', async () => {
  const [one = '', two = ''] = contracts;
  await reachesTheBrokerAsItIs(OPTIONS, { symbol: one, qty: '1', side: 'buy', type: 'limit', limit_price: '0.55', time_in_force: 'day' }); // prettier-ignore
  await reachesTheBrokerAsItIs(OPTIONS, { symbol: two, qty: '1', side: 'buy', type: 'market', time_in_force: 'day', position_intent: 'buy_to_open' }); // prettier-ignore
  await reachesTheBrokerAsItIs(OPTIONS, {
    ...{ qty: '1', type: 'limit', limit_price: '0.75', time_in_force: 'day', order_class: 'mleg' },
    legs: [
      { symbol: one, ratio_qty: '1', side: 'buy', position_intent: 'buy_to_open' },
      { symbol: two, ratio_qty: '1', side: 'sell', position_intent: 'sell_to_open' },
    ],
  });
});

const limit = { ...base, type: 'limit', limit_price: '100.00', time_in_force: 'day' };

test('the same key gets the stored answer, whatever the order of fields; another body gets 422', async () => {
  const since = await ledgerEnd(gateway);
  const key = aKey();
  const first = await call('POST', STOCKS, limit, key);
  const again = await call('POST', STOCKS, Object.fromEntries(Object.entries(limit).reverse()), key);
  expect([again.status, again.text, again.headers.get('idempotency-replayed')]).toEqual([201, first.text, 'true']);
  expect(again.headers.get('location')).toBe(first.headers.get('location'));
  const other = await call('POST', STOCKS, { ...limit, qty: '3' }, key);
  expect([other.status, other.json['code']]).toEqual([422, 'idempotency-key-reused']);
  expect(await writesSince(gateway, since)).toHaveLength(1);
});

test('one key from many callers at once makes one order; the others are told 409 or the stored answer', async () => {
  const since = await ledgerEnd(gateway);
  await gateway.simulator.control.switchOn({ fault: { kind: 'latency', ms: 300 }, method: 'POST', path: '/v2/orders', count: 1 }); // prettier-ignore
  const key = aKey();
  const answers = await Promise.all(Array.from({ length: 10 }, () => call('POST', STOCKS, limit, key)));
  const statuses = answers.map(({ status }) => status);
  expect(statuses.filter((status) => status === 201).length).toBeGreaterThanOrEqual(1);
  expect(statuses.filter((status) => status !== 201 && status !== 409)).toEqual([]);
  const refused = answers.find(({ status }) => status === 409);
  if (refused !== undefined) expect(refused.json['code']).toBe('request-in-flight');
  expect(await writesSince(gateway, since)).toHaveLength(1);
});

test('a dry run says what would be sent and sends nothing', async () => {
  const since = await ledgerEnd(gateway);
  const answer = await call('POST', `${STOCKS}?dry_run=true`, limit, aKey());
  expect(answer.status).toBe(200);
  expect(answer.text).toContain('"limit_price":"100.00"');
  expect(await writesSince(gateway, since)).toEqual([]);
});

test.each(['reset', 'hang', '502', 'partial-body'] as const)(
  'an answer lost by %s is unknown, then the order; it was sent once',
  async (how) => {
    const since = await ledgerEnd(gateway);
    // Lookups lag, so that the deadline passes first.
    await gateway.simulator.control.switchOn([
      { fault: { kind: 'lookup-lag', ms: 2_500 }, method: 'POST', path: '/v2/orders', count: 1 },
      { fault: { kind: 'answer-lost', how }, method: 'POST', path: '/v2/orders', count: 1 },
    ]);
    const hold = await gateway.simulator.control.switchOn({ fault: { kind: 'stream-lose' } });
    const key = aKey();
    const answer = await call('POST', '/accounts/account_002/orders/stocks', limit, key);
    expect([answer.status, answer.json['status']]).toEqual([202, 'unknown']);
    const place = answer.headers.get('location') ?? '';
    expect(place).toContain(String(answer.json['client_order_id']));
    const path = place.replace('/api/v1', '');
    expect([200, 202]).toContain((await call('GET', path)).status);
    const meanwhile = await call('POST', '/accounts/account_002/orders/stocks', limit, key);
    expect([201, 202, 409]).toContain(meanwhile.status);
    await eventually(async () => (await call('GET', path)).status === 200, 'the order is known');
    for (const id of hold) await gateway.simulator.control.switchOff(id);
    const later = await call('POST', '/accounts/account_002/orders/stocks', limit, key);
    expect([later.status, later.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    expect((await writesSince(gateway, since)).filter(({ method }) => method === 'POST')).toHaveLength(1);
  },
  45_000,
);

test('what the broker refuses keeps its status and words, is final and is replayed', async () => {
  const key = aKey();
  const order = { ...base, qty: '99999999', type: 'market', time_in_force: 'day' };
  const answer = await call('POST', '/accounts/account_003/orders/stocks', order, key);
  expect([answer.status, answer.json['code']]).toEqual([403, 'venue-rejected']);
  expect(answer.json['alpaca']).toMatchObject({ status: 403, code: expect.any(Number), message: expect.any(String) });
  const again = await call('POST', '/accounts/account_003/orders/stocks', order, key);
  expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([403, 'true']);
});

test('an order that the broker throttles is told as not sent, and its key stays good', async () => {
  await gateway.simulator.control.switchOn({
    ...{ fault: { kind: 'rate-limited', retryAfter: 60 }, accounts: ['account_004'], method: 'POST', count: 1 },
  });
  const key = aKey();
  const answer = await call('POST', '/accounts/account_004/orders/stocks', limit, key);
  expect([429, 503]).toContain(answer.status);
  expect([answer.json['code'], answer.json['retryable']]).toEqual(['order-not-sent', true]);
  expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
});

test('replace and cancel reach the broker once; closing a position is one computed order', async () => {
  await cleanSlate();
  const made = await call('POST', STOCKS, limit, aKey());
  const since = await ledgerEnd(gateway);
  const changed = await call('PATCH', `/accounts/account_001/orders/${String(made.json['id'])}`, { limit_price: '101.00' }); // prettier-ignore
  expect(changed.status).toBe(200);
  const gone = await call('DELETE', `/accounts/account_001/orders/${String(changed.json['id'])}`);
  expect([gone.status, gone.text]).toEqual([204, '']);
  expect((await writesSince(gateway, since)).map(({ method }) => method)).toEqual(['PATCH', 'DELETE']);
  const closed = await call('DELETE', '/accounts/account_001/positions/AAPL', undefined, aKey());
  expect([closed.status, closed.json['side'], closed.json['qty']]).toEqual([201, 'sell', '100']);
});
