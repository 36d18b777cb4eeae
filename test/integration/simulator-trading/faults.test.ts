import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { LOST_AFTER_ACCEPT } from '../../../src/simulator/faults/fault.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { aSimulator } from '../../support/simulator.js';
import { Caller } from '../../support/simulator-caller.js';

let simulator: Simulator;
let caller: Caller;

beforeEach(async () => {
  simulator = await aSimulator({ behaviour: { fills: 'manual' } });
  caller = callerOf(0);
});
afterEach(() => simulator.close());

function callerOf(account: number): Caller {
  return new Caller(simulator.url, simulator.accounts[account]!);
}

const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '10', time_in_force: 'gtc' };
const submit = { method: 'POST', path: '/v2/orders' };

test.each([...LOST_AFTER_ACCEPT, 'not-json' as const])(
  'F6 %s: the order exists although its answer is lost',
  async (how) => {
    simulator.control.switchOn({ ...submit, count: 1, fault: { kind: 'answer-lost', how } });

    const answer = caller.call('POST', '/v2/orders', { ...order, client_order_id: 'lost' }, AbortSignal.timeout(400));
    const seen = await answer.then(
      ({ status }) => `status ${status}`,
      () => 'nothing usable',
    );

    // 502 and 504 come as HTML: even a status of the edge is no JSON answer.
    expect(seen).toBe('nothing usable');
    expect(simulator.control.orders({ clientOrderId: 'lost' })).toHaveLength(1);
    expect(simulator.control.ledger(submit).entries).toMatchObject([
      { outcome: `${how} after`, clientOrderId: 'lost', orderIds: [expect.any(String)] },
    ]);
    expect((await caller.get('/v2/orders:by_client_order_id?client_order_id=lost')).body.symbol).toBe('AAPL');
  },
);

test('F5: a 500 before acceptance leaves no order', async () => {
  simulator.control.switchOn({ ...submit, count: 1, fault: { kind: 'status', status: 500 } });

  const first = await caller.post('/v2/orders', { ...order, client_order_id: 'a' });
  const second = await caller.post('/v2/orders', { ...order, client_order_id: 'b' });

  expect(first.status).toBe(500);
  expect(first.body).toEqual({ code: 50010000, message: 'internal server error occurred' });
  expect(second.status).toBe(200);
  expect(simulator.control.orders().map((each) => each.client_order_id)).toEqual(['b']);
});

test('F7: an order is taken late although the connection died', async () => {
  await simulator.close();
  simulator = await aSimulator({ clock: 'manual' });
  caller = callerOf(0);
  simulator.control.switchOn({ ...submit, count: 1, fault: { kind: 'late-acceptance', ms: 5_000, how: 'reset' } });

  await expect(caller.post('/v2/orders', { ...order, client_order_id: 'late' })).rejects.toThrow();
  const before = simulator.control.orders().length;
  simulator.control.advance(5_000);

  expect(before).toBe(0);
  expect(simulator.control.orders({ clientOrderId: 'late' })).toHaveLength(1);
  expect(simulator.control.ledger(submit).entries[0]?.outcome).toBe('late-acceptance reset, then 200');
});

test('F8: lists and lookups do not show a new order for a while', async () => {
  await simulator.close();
  simulator = await aSimulator({ clock: 'manual' });
  caller = callerOf(0);
  simulator.control.switchOn({ ...submit, fault: { kind: 'lookup-lag', ms: 2_000 } });
  await caller.post('/v2/orders', { ...order, client_order_id: 'hidden' });

  const early = await caller.get('/v2/orders:by_client_order_id?client_order_id=hidden');
  const earlyList = await caller.get('/v2/orders?status=all');
  simulator.control.advance(2_000);
  const late = await caller.get('/v2/orders:by_client_order_id?client_order_id=hidden');

  expect([early.status, early.body.code]).toEqual([404, 40410000]);
  expect(earlyList.body).toEqual([]);
  expect(late.status).toBe(200);
});

test('F9: only the second attempt of an order is refused', async () => {
  const fault = { kind: 'status', status: 403, code: 40310000, message: 'insufficient buying power' } as const;
  simulator.control.switchOn({ ...submit, attemptFrom: 2, fault });

  const first = await caller.post('/v2/orders', { ...order, client_order_id: 'twice' });
  const second = await caller.post('/v2/orders', { ...order, client_order_id: 'twice' });
  const other = await caller.post('/v2/orders', { ...order, client_order_id: 'other' });

  expect([first.status, second.status, other.status]).toEqual([200, 403, 200]);
});

test('F10: a 429 by switch carries the odd headers that were asked for', async () => {
  const path = '/v2/positions';
  simulator.control.switchOn({ path, count: 1, fault: { kind: 'rate-limited', retryAfter: 7, reset: 'past' } });
  simulator.control.switchOn({ path, count: 1, skip: 1, fault: { kind: 'rate-limited', reset: null } });

  const first = await caller.get(path);
  const second = await caller.get(path);
  const third = await caller.get(path);

  expect([first.status, second.status, third.status]).toEqual([429, 429, 200]);
  expect(first.body).toEqual({ code: 42910000, message: 'rate limit exceeded' });
  expect(first.headers.get('retry-after')).toBe('7');
  expect(Number(first.headers.get('x-ratelimit-reset'))).toBeLessThan(Date.now() / 1000);
  expect(second.headers.get('x-ratelimit-reset')).toBeNull();
});

test('the budget of one account is its own, and its window ends', async () => {
  await simulator.close();
  simulator = await aSimulator({ requestsPerMinute: 2, clock: 'manual' });
  const [first, second] = [callerOf(0), callerOf(1)];

  const statuses = [await first.get('/v2/clock'), await first.get('/v2/clock'), await first.get('/v2/clock')];
  const foreign = await second.get('/v2/clock');
  simulator.control.advance(60_000);
  const renewed = await first.get('/v2/clock');

  expect(statuses.map(({ status }) => status)).toEqual([200, 200, 429]);
  expect(statuses.map(({ headers }) => headers.get('x-ratelimit-remaining'))).toEqual(['1', '0', '0']);
  expect([foreign.status, renewed.status]).toEqual([200, 200]);
  expect(statuses[0]?.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
});

test('a switch for one account leaves the others alone, and an answer can name the wrong symbol', async () => {
  const accounts = [simulator.accounts[1]!.accountId];
  simulator.control.switchOn({ ...submit, accounts, fault: { kind: 'wrong-symbol', symbol: 'MSFT' } });

  const mine = await caller.post('/v2/orders', order);
  const theirs = await callerOf(1).post('/v2/orders', order);

  expect([mine.body.symbol, theirs.body.symbol]).toEqual(['AAPL', 'MSFT']);
  expect(simulator.control.orders().map((each) => each['symbol'])).toEqual(['AAPL', 'AAPL']);
});

test('F11: a body that comes byte by byte keeps its headers honest', async () => {
  simulator.control.switchOn({ path: '/v2/clock', fault: { kind: 'slow-body', bytesPerSecond: 1 } });
  const keys = simulator.accounts[0]!;

  const response = await fetch(`${simulator.url}/v2/clock`, {
    headers: { 'APCA-API-KEY-ID': keys.apiKey, 'APCA-API-SECRET-KEY': keys.secretKey },
    signal: AbortSignal.timeout(500),
  });

  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow();
});

test('chances follow the seed: the same seed breaks the same requests', async () => {
  const broken = async (): Promise<number[]> => {
    const seeded = await aSimulator({ seed: 7 });
    seeded.control.switchOn({ path: '/v2/clock', probability: 0.5, fault: { kind: 'status', status: 500 } });
    const asking = new Caller(seeded.url, seeded.accounts[0]!);
    const statuses: number[] = [];
    for (let round = 0; round < 12; round += 1) statuses.push((await asking.get('/v2/clock')).status);
    await seeded.close();
    return statuses;
  };

  const first = await broken();

  expect(await broken()).toEqual(first);
  expect(new Set(first)).toEqual(new Set([200, 500]));
});

test('the ledger keeps every arrival with its exact headers and bytes', async () => {
  const keys = simulator.accounts[0]!;
  const body = '{"symbol":"AAPL" ,"qty":1.0}';
  await fetch(`${simulator.url}/v2/orders?x=1`, {
    method: 'POST',
    headers: { 'APCA-API-KEY-ID': keys.apiKey, 'APCA-API-SECRET-KEY': keys.secretKey, 'X-Epoch': '17' },
    body,
  });

  const [entry] = simulator.control.ledger({ since: 0 }).entries;
  const after = simulator.control.ledger({ since: entry!.seq });

  expect(entry).toMatchObject({ method: 'POST', path: '/v2/orders', query: 'x=1', body, status: 422 });
  expect(Buffer.from(entry!.bodyBase64, 'base64').toString()).toBe(body);
  expect(entry?.headers).toContainEqual([expect.stringMatching(/^x-epoch$/i), '17']);
  expect(after.entries).toEqual([]);
});

test('a ledger that is full forgets the oldest and says so', async () => {
  await simulator.close();
  simulator = await aSimulator({ ledger: { entriesMax: 10 } });
  caller = callerOf(0);

  for (let round = 0; round < 12; round += 1) await caller.get('/v2/clock');
  const page = simulator.control.ledger();

  expect(page.entries.length).toBeLessThanOrEqual(10);
  expect(page.dropped).toBe(2);
  expect(page.lastSeq).toBe(12);
});
