/** What the desk refuses, and what it answers to repetition, trouble and closings. */
import { expect, test } from '@jest/globals';
import type { AccountId } from '../../../src/kernel/domain/identifiers.js';
import {
  ACCOUNT,
  aContext,
  accepted,
  anOrder,
  answered,
  bodyOf,
  DeskFixture,
  LOST,
  NOT_FOUND,
  ScriptedSession,
  statusOf,
  type DeskFixtureOptions,
} from '../../support/order-desk.js';

const taking = (_call: unknown, body: Record<string, unknown>) => accepted(body);

async function adopted(options: DeskFixtureOptions = {}, session = new ScriptedSession(taking)) {
  const fixture = new DeskFixture(options);
  await fixture.desk.adopt(session);
  return { fixture, session };
}

test('a second request with a key that is still in flight is told so', async () => {
  const session = new ScriptedSession(() => new Promise(() => undefined));
  const { fixture } = await adopted({}, session);

  void fixture.submit(anOrder(), { key: 'k1' });
  await fixture.clock.advance(10);
  const second = await fixture.submit(anOrder(), { key: 'k1' });

  expect(statusOf(second)).toBe('request-in-flight');
  expect(session.posts()).toHaveLength(1);
});

test('two requests with one key in the same moment place one order', async () => {
  const { fixture, session } = await adopted();

  const answers = await Promise.all([
    fixture.submit(anOrder(), { key: 'k1' }),
    fixture.submit(anOrder(), { key: 'k1' }),
  ]);

  expect(session.posts()).toHaveLength(1);
  expect(answers.map(statusOf).sort()).toEqual([201, 'request-in-flight']);
});

test('an unknown outcome is answered 202 with a place to ask, and the lookup never says 404', async () => {
  const session = new ScriptedSession((call) => (call.method === 'POST' ? LOST : NOT_FOUND));
  const { fixture } = await adopted({}, session);

  const asked = fixture.submit(anOrder({ client_order_id: 'mine 1' }));
  await fixture.clock.advance(2_000);
  const answer = await asked;

  expect(statusOf(answer)).toBe(202);
  expect(answer.kind === 'answer' && answer.headers).toMatchObject({
    location: `/api/v1/accounts/${ACCOUNT}/orders/by-client-order-id/mine%201`,
    'retry-after': '1',
  });
  expect(statusOf(fixture.desk.lookup(ACCOUNT, 'mine 1') ?? NO_ANSWER)).toBe(202);
  expect(fixture.desk.openUnknown(ACCOUNT)).toBe(1);
});

test('what never reached the broker is 503, and its key stays usable', async () => {
  const session = new ScriptedSession(() => ({ kind: 'not-sent', reason: 'connect', detail: 'refused' }));
  const { fixture } = await adopted({}, session);

  const first = await fixture.submit(anOrder(), { key: 'k1' });
  session.answer = taking;
  const second = await fixture.submit(anOrder(), { key: 'k1' });

  expect(first).toMatchObject({ problem: { code: 'order-not-sent', members: { retryable: true } } });
  expect(statusOf(second)).toBe(201);
});

test('a refusal by the broker keeps its status and words, and is replayed', async () => {
  const refusal = { code: 40310000, message: 'insufficient buying power', buying_power: '1', cost_basis: '300' };
  const { fixture, session } = await adopted({}, new ScriptedSession(() => answered(403, refusal)));

  const first = await fixture.submit(anOrder(), { key: 'k1' });
  const second = await fixture.submit(anOrder(), { key: 'k1' });

  expect(first).toMatchObject({
    problem: { code: 'venue-rejected', status: 403, alpaca: { status: 403, ...refusal } },
  });
  expect(second).toMatchObject({ problem: { code: 'venue-rejected', headers: { 'idempotency-replayed': 'true' } } });
  expect(session.posts()).toHaveLength(1);
});

test.each(['journal', 'audit', 'journal-full', 'audit-unhealthy'])(
  'with trouble in the %s nothing is sent',
  async (trouble) => {
    const { fixture, session } = await adopted();
    if (trouble === 'journal') fixture.store.refuses = true;
    if (trouble === 'audit') fixture.audit.refuses = true;
    if (trouble === 'journal-full') fixture.store.fullness = 'full';
    if (trouble === 'audit-unhealthy') fixture.audit.isHealthy = false;

    const answer = await fixture.submit(anOrder(), { key: 'k1' });

    expect(statusOf(answer)).toBe('order-not-sent');
    expect(session.posts()).toEqual([]);
  },
);

test('a damaged record stops its account and no other', async () => {
  const { fixture } = await adopted();
  await fixture.submit(anOrder(), { key: 'k1' });
  const [key] = [...fixture.store.data.keys()].filter((name) => name.includes('/i/'));
  const bytes = Uint8Array.from(fixture.store.data.get(key!)!);
  bytes[bytes.length - 3]! ^= 1;
  fixture.store.data.set(key!, bytes);
  const other = Object.assign(new ScriptedSession(taking), { accountId: 'account_002' as AccountId });
  await fixture.desk.adopt(other);

  const replayed = await fixture.submit(anOrder(), { key: 'k1' });
  const next = await fixture.submit(anOrder(), {});
  const elsewhere = await fixture.submit(anOrder(), { accountId: 'account_002' as AccountId });

  expect(statusOf(replayed)).toBe('account-unavailable');
  expect(statusOf(next)).toBe('order-not-sent');
  expect(statusOf(elsewhere)).toBe(201);
});

test('a damaged order event stops its account when it is read: adoption looks at its place alone', async () => {
  const { fixture, session } = await adopted();
  await fixture.submit(anOrder(), { key: 'k1' });
  session.tell('fill', { id: 'b1', client_order_id: 'c1', status: 'filled', symbol: 'AAPL' }, 'x1');
  await fixture.clock.advance(0);
  const [key] = [...fixture.store.data.keys()].filter((name) => name.includes('/e/'));
  const bytes = Uint8Array.from(fixture.store.data.get(key!)!);
  bytes[bytes.length - 3]! ^= 1;
  fixture.store.data.set(key!, bytes);

  expect(() => fixture.desk.eventsAfter(ACCOUNT, { epoch: 0, seq: 0 })).toThrow(
    expect.objectContaining({ code: 'JOURNAL_BROKEN' }),
  );
  expect(statusOf(await fixture.submit(anOrder(), {}))).toBe('order-not-sent');
});

test('the same key of two accounts are two keys', async () => {
  const { fixture, session } = await adopted();
  const other = Object.assign(new ScriptedSession(taking), { accountId: 'account_002' as AccountId });
  await fixture.desk.adopt(other);

  await fixture.submit(anOrder(), { key: 'k1' });
  await fixture.submit(anOrder({ qty: '5' }), { key: 'k1', accountId: 'account_002' as AccountId });

  expect(session.posts()[0]?.['client_order_id']).not.toBe(other.posts()[0]?.['client_order_id']);
});

test('a 401 stops the account for a moment, then one order probes', async () => {
  const { fixture, session } = await adopted(
    {},
    new ScriptedSession(() => answered(401, { code: 40110000, message: 'no' })),
  );

  const first = await fixture.submit(anOrder(), { key: 'k1' });
  const second = await fixture.submit(anOrder(), { key: 'k2' });
  session.answer = taking;
  await fixture.clock.advance(1_000);
  const third = await fixture.submit(anOrder(), { key: 'k3' });

  expect([first, second, third].map(statusOf)).toEqual(['broker-credentials-refused', 'order-not-sent', 201]);
});

test('halted, an account sends no order, still cancels, and stays halted after a restart', async () => {
  const { fixture, session } = await adopted();
  await fixture.desk.execute(
    { kind: 'set-trading-state', accountId: ACCOUNT, state: 'HALTED', reason: 'test' },
    aContext(),
  );
  session.answer = () => ({ kind: 'answered', status: 204, headers: {}, body: new Uint8Array(), upstreamMs: 1 });

  const refused = await fixture.submit(anOrder());
  const canceled = await fixture.desk.execute(
    { kind: 'cancel-order', accountId: ACCOUNT, orderId: 'broker-9', dryRun: false },
    aContext(),
  );
  const after = new DeskFixture({ store: fixture.store });
  await after.desk.adopt(new ScriptedSession(taking, 2));

  expect(statusOf(refused)).toBe('trading-halted');
  expect(statusOf(canceled)).toBe(204);
  expect(after.desk.tradingState(ACCOUNT)).toBe('HALTED');
});

test('a shared halt is in force before the first order, and a newer state of this disk is told to the others', async () => {
  const told: unknown[] = [];
  const tellTradingState = (...state: unknown[]): Promise<boolean> => Promise.resolve(told.push(state) > 0);
  const fixture = new DeskFixture({ tellTradingState });
  const halted = { state: 'HALTED', reason: 'elsewhere', subject: 'ops', at: fixture.clock.now() + 5 } as const;
  await fixture.desk.adopt(new ScriptedSession(taking), halted);
  const refused = await fixture.submit(anOrder());

  const after = new DeskFixture({ store: fixture.store, tellTradingState });
  await after.desk.adopt(new ScriptedSession(taking, 2), { ...halted, state: 'ACTIVE', at: halted.at - 1 });

  expect(statusOf(refused)).toBe('trading-halted');
  expect(after.desk.tradingState(ACCOUNT)).toBe('HALTED');
  expect(told).toEqual([[ACCOUNT, halted]]);
});

test('a shared halt that cannot be kept lets the account trade nothing', async () => {
  const fixture = new DeskFixture();
  const halted = { state: 'HALTED', reason: 'elsewhere', subject: 'ops', at: fixture.clock.now() + 5 } as const;
  fixture.audit.refuses = true;
  await fixture.desk.adopt(new ScriptedSession(taking), halted);
  const before = await fixture.submit(anOrder());
  fixture.audit.refuses = false;
  await fixture.clock.advance(60_000);
  const after = await fixture.submit(anOrder());

  expect(statusOf(before)).toBe('order-not-sent');
  expect(statusOf(after)).toBe('trading-halted');
});

test('who sets a trading state is told whether the other instances know of it', async () => {
  const fixture = new DeskFixture({ tellTradingState: () => Promise.resolve(false) });
  await fixture.desk.adopt(new ScriptedSession(taking));
  const answer = await fixture.desk.execute(
    { kind: 'set-trading-state', accountId: ACCOUNT, state: 'HALTED', reason: 'test' },
    aContext(),
  );

  expect(bodyOf(answer)).toMatchObject({ trading_state: 'HALTED', instances_told: false });
});

test('reducing, an account sells what it holds and buys nothing', async () => {
  const { fixture, session } = await adopted();
  session.positions_.set('AAPL', { symbol: 'AAPL', qty: '2' });
  await fixture.desk.setTradingStateForAll('REDUCING', 'test', 'operator');

  const answers = [
    await fixture.submit(anOrder()),
    await fixture.submit(anOrder({ side: 'sell', qty: '3' })),
    await fixture.submit(anOrder({ side: 'sell', qty: '2' })),
  ];

  expect(answers.map(statusOf)).toEqual(['trading-halted', 'trading-halted', 201]);
});

test.each<[string, DeskFixtureOptions['risk'], Record<string, unknown>]>([
  ['max_order_qty', { maxOrderQty: '1.5' }, {}],
  ['max_order_notional', { maxOrderNotional: '299.99' }, {}],
  ['max_order_notional', { maxOrderNotional: '100' }, { type: 'market', limit_price: undefined }],
  ['max_orders_per_minute', { maxOrdersPerMinute: 0 }, {}],
  ['max_open_orders', { maxOpenOrders: 0 }, {}],
  ['allow_symbols', { allowSymbols: ['MSFT'] }, {}],
  ['deny_symbols', { denySymbols: ['AAPL'] }, { symbol: 'AAPL250620C00100000' }],
  ['price_collar', { priceCollarPercent: '5' }, {}],
  ['no_short', { noShort: true }, { side: 'sell' }],
])('risk rule %s denies with its name and numbers, and nothing is written or sent', async (rule, risk, more) => {
  const marks = { AAPL: { bidPrice: '99', askPrice: '100', ageMs: 1 } };
  const { fixture, session } = await adopted({ risk: risk ?? {}, marks });

  const answer = await fixture.submit(anOrder(more), { key: 'k1' });

  expect(answer).toMatchObject({ problem: { code: 'risk-denied', members: { rule } } });
  expect(session.calls).toEqual([]);
  expect(fixture.audit.kinds()).toEqual(['denial']);
});

test('the second of two orders alike within the window is denied', async () => {
  const { fixture } = await adopted({ risk: { duplicateWindowMs: 1_000 } });

  const answers = [await fixture.submit(anOrder()), await fixture.submit(anOrder())];
  await fixture.clock.advance(1_000);
  answers.push(await fixture.submit(anOrder()));

  expect(answers.map(statusOf)).toEqual([201, 'risk-denied', 201]);
});

test('a dry run shows what would be sent, sends nothing and uses no key', async () => {
  const { fixture, session } = await adopted();

  const dry = await fixture.submit(anOrder(), { key: 'k1', dryRun: true });
  const real = await fixture.submit(anOrder(), { key: 'k1' });

  expect(statusOf(dry)).toBe(200);
  expect(bodyOf(dry).body).toEqual(session.posts()[0]);
  expect(statusOf(real)).toBe(201);
});

test.each([
  [{}, '3.333333333'],
  [{ percentage: '50' }, '1.666666666'],
  [{ qty: '1' }, '1'],
])('closing %j of a position sells exactly %s under our id', async (part, qty) => {
  const { fixture, session } = await adopted();
  session.positions_.set('AAPL', { symbol: 'AAPL', qty: '3.333333333', asset_class: 'us_equity' });

  const answer = await fixture.desk.execute(
    { kind: 'close-position', accountId: ACCOUNT, symbol: 'AAPL', dryRun: false, ...part },
    aContext(),
  );

  expect(statusOf(answer)).toBe(201);
  expect(session.posts()[0]).toMatchObject({
    symbol: 'AAPL',
    side: 'sell',
    qty,
    type: 'market',
    client_order_id: expect.any(String),
  });
});

test('an unknown outcome stands in the way of closing its own position alone', async () => {
  const session = new ScriptedSession((call) => (call.method === 'POST' ? LOST : NOT_FOUND));
  const { fixture } = await adopted({}, session);
  session.positions_.set('MSFT', { symbol: 'MSFT', qty: '3', asset_class: 'us_equity' });
  const asked = fixture.submit(anOrder());
  await fixture.clock.advance(2_000);
  await asked;
  const close = (symbol: string) =>
    fixture.desk.execute({ kind: 'close-position', accountId: ACCOUNT, symbol, dryRun: false }, aContext());

  const first = close('MSFT');
  await fixture.clock.advance(2_000);
  const again = await close('msft');

  expect(statusOf(await first)).toBe(202);
  expect(again).toMatchObject({ problem: { code: 'close-in-progress', members: { state: 'unknown' } } });
  expect(session.posts().filter(({ symbol }) => symbol === 'MSFT')).toHaveLength(1);
});

test('cancel-all names the orders whose outcome is unknown and queues their cancel', async () => {
  const session = new ScriptedSession((call) => {
    if (call.method === 'DELETE') return answered(207, [{ id: 'broker-1', status: 200 }]);
    return call.method === 'POST' ? LOST : NOT_FOUND;
  });
  const { fixture } = await adopted({}, session);
  const asked = fixture.submit(anOrder({ client_order_id: 'mine' }));
  await fixture.clock.advance(2_000);
  await asked;

  const answer = await fixture.desk.execute(
    { kind: 'cancel-all-orders', accountId: ACCOUNT, dryRun: false },
    aContext(),
  );

  expect(statusOf(answer)).toBe(207);
  expect(bodyOf(answer)).toEqual([
    { id: 'broker-1', status: 200 },
    { id: null, client_order_id: 'mine', status: 202, body: { status: 'unknown', cancel: 'queued' } },
  ]);
});

test('a lost answer to a cancel is asked again, then read back; what stays open is told as unknown', async () => {
  const session = new ScriptedSession((call) => (call.method === 'DELETE' ? LOST : answered(500, {})));
  const { fixture } = await adopted({}, session);

  const asked = fixture.desk.execute(
    { kind: 'cancel-order', accountId: ACCOUNT, orderId: 'broker-1', dryRun: false },
    aContext(),
  );
  await fixture.clock.advance(5_000);

  expect(statusOf(await asked)).toBe(202);
  expect(session.calls.filter(({ method }) => method === 'DELETE')).toHaveLength(3);
});

test('a lost answer to a replace is looked up by the id of the new order', async () => {
  let changed: Record<string, unknown> = {};
  const session = new ScriptedSession((call, body) => {
    if (call.method === 'GET')
      return answered(200, { id: 'broker-2', status: 'new', replaces: 'broker-1', ...changed });
    changed = body;
    return LOST;
  });
  const { fixture } = await adopted({}, session);
  session.mirrored.set('first', anOrder({ id: 'broker-1', status: 'new', filled_qty: '0' }));

  const asked = fixture.desk.execute(
    {
      kind: 'replace-order',
      accountId: ACCOUNT,
      orderId: 'broker-1',
      changes: { limit_price: '151' },
      idempotencyKey: 'k1',
      dryRun: false,
    },
    aContext(),
  );
  await fixture.clock.advance(500);
  const answer = await asked;

  expect(statusOf(answer)).toBe(200);
  expect(bodyOf(answer)).toMatchObject({ id: 'broker-2', replaces: 'broker-1' });
  expect(changed['client_order_id']).toMatch(/^g1/);
});

test('events are numbered without holes, resumed, and a hole in the ring is named', async () => {
  const { fixture, session } = await adopted();
  const told: number[] = [];
  fixture.desk.onOrderEvent(({ seq }) => told.push(seq));

  for (let number = 1; number <= 7; number += 1) session.tell('fill', { id: `o${number}` }, `x${number % 4}`);
  await fixture.clock.advance(10);
  const resumed = fixture.desk.eventsAfter(ACCOUNT, { epoch: 1, seq: 0 });

  expect(told).toEqual([1, 2, 3, 4, 5, 6, 7]);
  expect(resumed.events.map(({ seq }) => seq)).toEqual([3, 4, 5, 6, 7]);
  expect(resumed.gaps).toEqual([{ epoch: 1, from: 1, to: 2 }]);
  expect(fixture.audit.kinds().filter((kind) => kind === 'fill')).toHaveLength(4);
});

test('what was proven not sent counts neither for the window nor for the minute', async () => {
  const session = new ScriptedSession(() => ({ kind: 'not-sent', reason: 'connect', detail: 'refused' }));
  const { fixture } = await adopted({ risk: { duplicateWindowMs: 60_000, maxOrdersPerMinute: 1 } }, session);

  const unsent = await fixture.submit(anOrder({ client_order_id: 'a' }));
  session.answer = taking;
  const again = await fixture.submit(anOrder({ client_order_id: 'b' }));

  expect([statusOf(unsent), statusOf(again)]).toEqual(['order-not-sent', 201]);
});

const NO_ANSWER = { kind: 'problem', problem: { code: 'not-found', detail: '' } } as const;
