/** Every trap of the order protocol has a test of its own here; what needs real processes or sockets is elsewhere. */
import { expect, test } from '@jest/globals';
import {
  ACCOUNT,
  aContext,
  accepted,
  anOrder,
  answered,
  bodyOf,
  DeskFixture,
  LOST,
  MemoryStore,
  NOT_FOUND,
  ScriptedSession,
  statusOf,
  type Answerer,
} from '../../support/order-desk.js';

/** The broker loses the answer of every POST and shows what `shown` says. */
function losing(shown: () => Record<string, unknown> | undefined): Answerer {
  return (call) => {
    if (call.method === 'POST') return LOST;
    const order = shown();
    if (call.path.startsWith('/v2/orders?')) return answered(200, order === undefined ? [] : [order]);
    return order === undefined ? NOT_FOUND : answered(200, order);
  };
}

test('an accepted order is answered 201 with the broker bytes and its place, and sent as it came plus our id', async () => {
  const session = new ScriptedSession((_call, body) => accepted(body));
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);

  const answer = await fixture.submit(anOrder({ qty: 2 }), { key: 'k1' });

  expect(statusOf(answer)).toBe(201);
  expect(answer.kind === 'answer' && answer.headers).toMatchObject({
    location: `/api/v1/accounts/${ACCOUNT}/orders/broker-1`,
    'idempotency-replayed': 'false',
  });
  expect(session.posts()[0]).toEqual({
    ...anOrder({ qty: 2 }),
    client_order_id: expect.stringMatching(/^g1[a-z2-7]{34}$/),
  });
  expect(fixture.audit.kinds()).toEqual(['intent', 'outcome']);
});

test('late first attempt after a not-found lookup: the id is sent again, refused as taken, and the order is found', async () => {
  let order: Record<string, unknown> | undefined = undefined;
  let posts = 0;
  const session = new ScriptedSession((call, body) => {
    if (call.method !== 'POST') return order === undefined ? NOT_FOUND : answered(200, order);
    posts += 1;
    if (posts === 1) return LOST;
    order = { id: 'broker-1', status: 'new', ...body };
    return answered(422, { code: 40010001, message: 'client_order_id must be unique' });
  });
  const fixture = new DeskFixture({ orders: { ambiguous: 'resubmit_same_id' } });
  await fixture.desk.adopt(session);

  const asked = fixture.submit(anOrder(), { key: 'k1' });
  await fixture.clock.advance(1_500);
  const answer = await asked;

  expect(statusOf(answer)).toBe(201);
  const [first, second] = session.posts();
  expect(second).toEqual(first);
  expect(posts).toBe(2);
});

test('403 after our own ambiguous attempt stays unknown until a lookup finds the order', async () => {
  let posts = 0;
  let shown: Record<string, unknown> | undefined = undefined;
  const session = new ScriptedSession((call, body) => {
    if (call.method !== 'POST') return shown === undefined ? NOT_FOUND : answered(200, shown);
    posts += 1;
    if (posts === 2) return answered(403, { code: 40310000, message: 'insufficient buying power' });
    shownLater = { id: 'broker-1', status: 'new', ...body };
    return LOST;
  });
  let shownLater: Record<string, unknown> | undefined;
  const fixture = new DeskFixture({ orders: { ambiguous: 'resubmit_same_id' } });
  await fixture.desk.adopt(session);

  const asked = fixture.submit(anOrder(), { key: 'k1' });
  await fixture.clock.advance(2_100);
  const told = await asked;
  shown = shownLater;
  await fixture.clock.advance(5_000);
  const later = await fixture.submit(anOrder(), { key: 'k1' });

  expect(posts).toBe(2);
  expect(statusOf(told)).toBe(202);
  expect(statusOf(later)).toBe(201);
});

test('a lookup that shows status rejected is the order itself: final, and not an error', async () => {
  let shown: Record<string, unknown> | undefined = undefined;
  const session = new ScriptedSession(losing(() => shown));
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);

  const asked = fixture.submit(anOrder(), { key: 'k1' });
  await fixture.clock.advance(10);
  shown = { id: 'broker-1', status: 'rejected', ...session.posts()[0] };
  await fixture.clock.advance(500);
  const answer = await asked;

  expect(statusOf(answer)).toBe(201);
  expect(bodyOf(answer).status).toBe('rejected');
});

test('a 200 about another symbol proves nothing: the order is looked up', async () => {
  let own: Record<string, unknown> = {};
  const session = new ScriptedSession((call, body) => {
    if (call.method !== 'POST') return answered(200, own);
    own = { id: 'broker-1', status: 'new', ...body };
    return accepted(body, { symbol: 'MSFT' });
  });
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);

  const asked = fixture.submit(anOrder(), { key: 'k1' });
  await fixture.clock.advance(100);

  expect(bodyOf(await asked).symbol).toBe('AAPL');
});

test('an order that was replaced meanwhile is still ours', async () => {
  const session = new ScriptedSession(losing(() => undefined));
  session.answer = losing(() => ({
    id: 'broker-1',
    status: 'replaced',
    replaced_by: 'broker-2',
    ...session.posts()[0],
  }));
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);

  const asked = fixture.submit(anOrder(), { key: 'k1' });
  await fixture.clock.advance(500);

  expect(bodyOf(await asked)).toMatchObject({ status: 'replaced', replaced_by: 'broker-2' });
});

test('bracket legs have ids that the broker made: they are nobody else’s intent and cost nothing', async () => {
  const session = new ScriptedSession((_call, body) =>
    accepted(body, { legs: [{ id: 'leg-1', client_order_id: 'made-by-broker' }] }),
  );
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);

  await fixture.submit(anOrder({ order_class: 'bracket' }), { key: 'k1' });
  session.tell('new', { id: 'leg-1', client_order_id: 'made-by-broker', symbol: 'AAPL' });
  await fixture.clock.advance(10);

  expect(fixture.desk.position(ACCOUNT).seq).toBe(1);
  expect(fixture.desk.openUnknown(ACCOUNT)).toBe(0);
});

test('a fill that overtakes the answer of the POST settles the order', async () => {
  let release: (reply: ReturnType<typeof accepted>) => void = () => undefined;
  const session = new ScriptedSession(() => new Promise((resolve) => (release = resolve)));
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);

  const asked = fixture.submit(anOrder(), { key: 'k1' });
  await fixture.clock.advance(10);
  session.tell('fill', { id: 'broker-1', status: 'filled', filled_qty: '2', ...session.posts()[0] }, 'x1');
  await fixture.clock.advance(300);
  const answer = await asked;
  release(LOST);

  expect(statusOf(answer)).toBe(201);
  expect(bodyOf(answer).status).toBe('filled');
  expect(fixture.audit.kinds()).toContain('fill');
});

test('a cancel while the outcome is unknown is queued, and carried out once the order is known', async () => {
  let shown: Record<string, unknown> | undefined = undefined;
  const session = new ScriptedSession((call) => {
    if (call.method === 'DELETE')
      return { kind: 'answered', status: 204, headers: {}, body: new Uint8Array(), upstreamMs: 1 };
    return losing(() => shown)(call, {});
  });
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);
  const asked = fixture.submit(anOrder(), { key: 'k1' });
  await fixture.clock.advance(2_100);
  const { client_order_id: clientOrderId } = bodyOf(await asked);

  const canceled = await fixture.desk.execute(
    { kind: 'cancel-order', accountId: ACCOUNT, clientOrderId, dryRun: false },
    aContext(),
  );
  shown = { id: 'broker-1', status: 'new', ...session.posts()[0] };
  await fixture.clock.advance(10_000);

  expect(bodyOf(canceled)).toMatchObject({ status: 'unknown', cancel: 'queued' });
  expect(session.calls.filter(({ method }) => method === 'DELETE').map(({ path }) => path)).toEqual([
    '/v2/orders/broker-1',
  ]);
});

test('the same key on two owners makes the same id, so that the broker refuses the second order', async () => {
  const ids: unknown[] = [];
  for (const fixture of [new DeskFixture(), new DeskFixture()]) {
    const session = new ScriptedSession((_call, body) => accepted(body));
    await fixture.desk.adopt(session);
    await fixture.submit(anOrder(), { key: 'k1' });
    ids.push(session.posts()[0]?.['client_order_id']);
  }

  expect(ids[0]).toBe(ids[1]);
});

test('a duplicate id on the only attempt adopts an order like ours and refuses a different one', async () => {
  for (const [price, expected] of [
    ['150', 201],
    ['151', 'client-order-id-collision'],
  ] as const) {
    let shown: Record<string, unknown> = {};
    const session = new ScriptedSession((call, body) => {
      if (call.method !== 'POST') return answered(200, shown);
      shown = { id: 'broker-1', status: 'new', ...body, limit_price: price };
      return answered(422, { code: 40010001, message: 'client_order_id must be unique' });
    });
    const fixture = new DeskFixture();
    await fixture.desk.adopt(session);

    const asked = fixture.submit(anOrder(), { key: 'k1' });
    await fixture.clock.advance(200);

    expect(statusOf(await asked)).toBe(expected);
  }
});

test('the same key of two subjects are two keys', async () => {
  const session = new ScriptedSession((_call, body) => accepted(body));
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);

  await fixture.submit(anOrder(), { key: 'k1', subject: 'a' });
  await fixture.submit(anOrder(), { key: 'k1', subject: 'b' });

  const [first, second] = session.posts();
  expect(first?.['client_order_id']).not.toBe(second?.['client_order_id']);
});

test('a key used again after a restart replays the stored answer; for another request it is refused', async () => {
  const store = new MemoryStore();
  const before = new DeskFixture({ store });
  await before.desk.adopt(new ScriptedSession((_call, body) => accepted(body)));
  const first = await before.submit(anOrder(), { key: 'k1' });

  const after = new DeskFixture({ store });
  const session = new ScriptedSession((_call, body) => accepted(body), 2);
  await after.desk.adopt(session);
  const replayed = await after.submit(anOrder({ limit_price: 150 }), { key: 'k1' });
  const other = await after.submit(anOrder({ limit_price: '151' }), { key: 'k1' });

  expect(bodyOf(replayed)).toEqual(bodyOf(first));
  expect(replayed.kind === 'answer' && replayed.headers['idempotency-replayed']).toBe('true');
  expect(statusOf(other)).toBe('idempotency-key-reused');
  expect(session.posts()).toEqual([]);
});

test('a market order older than its time is not sent again', async () => {
  const session = new ScriptedSession((call) => (call.method === 'POST' ? LOST : answered(500, {})));
  const fixture = new DeskFixture({ orders: { ambiguous: 'resubmit_same_id' } });
  await fixture.desk.adopt(session);

  const asked = fixture.submit(
    { symbol: 'AAPL', side: 'buy', type: 'market', time_in_force: 'day', qty: '1' },
    { key: 'k1' },
  );
  await fixture.clock.advance(2_100);
  session.answer = losing(() => undefined);
  await fixture.clock.advance(60_000);
  await asked;

  expect(session.posts()).toHaveLength(1);
});

test('an intent that a dead owner wrote into the journal only is in the trail before its successor sends it', async () => {
  const store = new MemoryStore();
  const clock = await leaveOpen(store);
  // The trail of the dead owner has nothing of it.
  const after = new DeskFixture({ store, clock, orders: { ambiguous: 'resubmit_same_id' } });
  const trailAtPost: (readonly string[])[] = [];
  const session = new ScriptedSession((call, body) => {
    if (call.method !== 'POST') return NOT_FOUND;
    trailAtPost.push(after.audit.kinds());
    return accepted(body);
  }, 2);
  await after.desk.adopt(session);
  await clock.advance(7_000);

  expect(trailAtPost).toEqual([['intent', 'attempt']]);
  expect(after.audit.entries[0]).toMatchObject({ subject: 'caller', facts: { recovered: true, path: '/v2/orders' } });
  expect(after.audit.kinds()).toEqual(['intent', 'attempt', 'outcome']);
});

test('a DAY order that a former owner left open over the close is looked up, not sent again', async () => {
  const store = new MemoryStore();
  const clock = await leaveOpen(store);
  await clock.advance(18 * 3_600_000);

  const after = new DeskFixture({ store, clock, orders: { ambiguous: 'resubmit_same_id' } });
  const session = new ScriptedSession(
    losing(() => undefined),
    2,
  );
  await after.desk.adopt(session);
  await clock.advance(60_000);

  expect(session.posts()).toEqual([]);
  expect(session.calls.some(({ path }) => path.startsWith('/v2/orders:by_client_order_id'))).toBe(true);
});

test.each([-3_600_000, 3_600_000])(
  'a wall clock step of %i ms between intent and takeover sends nothing again',
  async (step) => {
    const store = new MemoryStore();
    const clock = await leaveOpen(store);
    clock.stepWall(step);

    const after = new DeskFixture({ store, clock, orders: { ambiguous: 'resubmit_same_id' } });
    const session = new ScriptedSession(
      losing(() => undefined),
      2,
    );
    await after.desk.adopt(session);
    await clock.advance(60_000);

    expect(session.posts()).toEqual([]);
  },
);

test('a caller that goes away early gets its 202, and the order goes on', async () => {
  let shown: Record<string, unknown> | undefined = undefined;
  const session = new ScriptedSession(losing(() => shown));
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);

  const asked = fixture.desk.execute(submitRequest(anOrder(), 'k1'), aContext({ budgetMs: 60 }));
  await fixture.clock.advance(20);
  const told = await asked;
  shown = { id: 'broker-1', status: 'new', ...session.posts()[0] };
  await fixture.clock.advance(1_000);

  expect(statusOf(told)).toBe(202);
  expect(statusOf(await fixture.submit(anOrder(), { key: 'k1' }))).toBe(201);
});

test('given up after the quarantine and a clean sweep, the order is watched; late, it is canceled if the policy says so', async () => {
  const session = new ScriptedSession((call) => {
    if (call.method === 'DELETE')
      return { kind: 'answered', status: 204, headers: {}, body: new Uint8Array(), upstreamMs: 1 };
    return losing(() => undefined)(call, {});
  });
  const fixture = new DeskFixture({ orders: { onLate: 'cancel', quarantineAfterMs: 20_000 } });
  await fixture.desk.adopt(session);
  const asked = fixture.submit(anOrder(), { key: 'k1' });
  await fixture.clock.advance(60_000);
  const { client_order_id: clientOrderId } = bodyOf(await asked);
  const meanwhile = fixture.desk.lookup(ACCOUNT, clientOrderId);

  session.tell('new', { id: 'broker-1', status: 'new', ...session.posts()[0] });
  await fixture.clock.advance(1_000);

  expect(fixture.desk.openUnknown(ACCOUNT)).toBe(0);
  expect(meanwhile === undefined ? undefined : statusOf(meanwhile)).toBe(202);
  expect(session.calls.filter(({ method }) => method === 'DELETE')).toHaveLength(1);
  expect(statusOf(await fixture.submit(anOrder(), { key: 'k1' }))).toBe(201);
});

test('a wall clock that ran ahead before the takeover does not end the search before its time', async () => {
  const store = new MemoryStore();
  const clock = await leaveOpen(store);
  clock.stepWall(24 * 3_600_000);

  const after = new DeskFixture({ store, clock });
  await after.desk.adopt(
    new ScriptedSession(
      losing(() => undefined),
      2,
    ),
  );
  await clock.advance(60_000);

  expect(after.desk.openUnknown(ACCOUNT)).toBe(1);
});

/** One that might still be sent again, were it young enough. */
async function leaveOpen(store: MemoryStore): Promise<DeskFixture['clock']> {
  const before = new DeskFixture({ store, orders: { ambiguous: 'resubmit_same_id', answerDeadlineMs: 150 } });
  await before.desk.adopt(new ScriptedSession(losing(() => undefined)));
  const asked = before.submit(anOrder(), { key: 'k1' });
  await before.clock.advance(200);
  await asked;
  await before.desk.close({ deadlineMs: 0 });
  return before.clock;
}

function submitRequest(order: Record<string, unknown>, idempotencyKey: string) {
  return {
    kind: 'submit-order' as const,
    accountId: ACCOUNT,
    assetClass: 'stocks' as const,
    order,
    idempotencyKey,
    dryRun: false,
  };
}
