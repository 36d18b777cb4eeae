/** How soon an unknown outcome is found out: by the stream at once, by lookups that are dense at first. */
import { expect, test } from '@jest/globals';
import type { BrokerReply } from '../../../src/workers/accounts/account-session.js';
import { LOOKUPS_AT_MS } from '../../../src/workers/orders/core/schedule.js';
import {
  ACCOUNT,
  anOrder,
  answered,
  bodyOf,
  DeskFixture,
  LOST,
  NOT_FOUND,
  ScriptedSession,
  statusOf,
  type Answerer,
} from '../../support/order-desk.js';

/** Ends every POST as told, shows no order, and keeps when it was asked for one. */
class Silence {
  readonly lookupsAt: number[] = [];
  readonly fixture = new DeskFixture();
  readonly session: ScriptedSession;

  constructor(post: Answerer) {
    this.session = new ScriptedSession((call, body) => {
      if (call.method === 'POST') return post(call, body);
      this.lookupsAt.push(this.fixture.clock.monotonicMs());
      return NOT_FOUND;
    });
  }
}

test('a trade update that carries our id settles an unknown order at once, without another lookup', async () => {
  const { fixture, session, lookupsAt } = new Silence(() => LOST);
  await fixture.desk.adopt(session);
  const asked = fixture.submit(anOrder(), { key: 'k1' });
  await fixture.clock.advance(5_000);
  expect(statusOf(await asked)).toBe(202);
  const lookups = lookupsAt.length;

  session.tell('new', { id: 'broker-1', status: 'new', ...session.posts()[0] });
  await fixture.clock.advance(0);

  expect(fixture.desk.openUnknown(ACCOUNT)).toBe(0);
  const answer = await fixture.submit(anOrder(), { key: 'k1' });
  expect([statusOf(answer), bodyOf(answer).id, lookupsAt.length]).toEqual([201, 'broker-1', lookups]);
});

test('a lost answer is looked up at once, densely at first, then every ten seconds', async () => {
  const { fixture, session, lookupsAt } = new Silence(() => LOST);
  await fixture.desk.adopt(session);

  void fixture.submit(anOrder(), { key: 'k1' });
  await fixture.clock.advance(40_000);

  const early = lookupsAt.slice(0, LOOKUPS_AT_MS.length);
  const steps = lookupsAt.slice(LOOKUPS_AT_MS.length - 1).map((at, n, all) => at - (all[n - 1] ?? at));
  expect(early).toEqual(LOOKUPS_AT_MS);
  expect(early.filter((at) => at <= 1_000).length).toBeGreaterThanOrEqual(6);
  expect(steps.slice(1).every((step) => step >= 10_000 && step <= 12_000)).toBe(true);
  // Whenever the broker begins to show it, it is found before it has been hidden twice as long.
  for (const [n, at] of early.entries()) expect(at).toBeLessThanOrEqual(Math.max(250, (early[n - 1] ?? 0) * 2));
});

test('an attempt that hangs is looked up beside, and when it ends without a verdict the search begins anew', async () => {
  let end: (reply: BrokerReply) => void = () => undefined;
  const { fixture, session, lookupsAt } = new Silence(() => new Promise((resolve) => (end = resolve)));
  await fixture.desk.adopt(session);
  void fixture.submit(anOrder(), { key: 'k1' });

  await fixture.clock.advance(9_000);
  expect(lookupsAt.slice(0, 3)).toEqual([500, 600, 750]);
  end(LOST);
  await fixture.clock.advance(500);

  expect(lookupsAt.filter((at) => at >= 9_000)).toEqual([9_000, 9_100, 9_250, 9_500]);
});

test('what was not found while the first attempt was under way allows no second one', async () => {
  let end: (reply: BrokerReply) => void = () => undefined;
  const session = new ScriptedSession((call) =>
    call.method === 'POST' ? new Promise((resolve) => (end = resolve)) : NOT_FOUND,
  );
  const fixture = new DeskFixture({ orders: { ambiguous: 'resubmit_same_id' } });
  await fixture.desk.adopt(session);
  void fixture.submit(anOrder(), { key: 'k1' });

  await fixture.clock.advance(4_000);
  end(LOST);
  await fixture.clock.advance(200);
  expect(session.posts().length).toBe(1);

  await fixture.clock.advance(100);
  expect(session.posts().length).toBe(2);
});

test('the mirror gets the answer in the bytes in which the broker sent it', async () => {
  let text = '';
  const session = new ScriptedSession((_call, body) => {
    text = JSON.stringify({ id: 'broker-1', status: 'new', filled_qty: '0', ...body }).replaceAll(',', ', ');
    return { ...answered(200, {}), body: new TextEncoder().encode(text) } as BrokerReply;
  });
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);

  await fixture.submit(anOrder(), { key: 'k1' });

  expect(session.notedTexts).toEqual([text]);
});

test('an order that the stream brought further than its answer is not mirrored in the older bytes', async () => {
  const fixture = new DeskFixture();
  const session: ScriptedSession = new ScriptedSession((_call, body) => {
    session.tell('fill', { id: 'broker-1', ...body, status: 'filled', filled_qty: '2' }, 'x1');
    return answered(200, { id: 'broker-1', ...body, status: 'new', filled_qty: '0' });
  });
  await fixture.desk.adopt(session);

  await fixture.submit(anOrder(), { key: 'k1' });

  expect(session.notedTexts).toEqual([undefined]);
  expect([...session.mirrored.values()].map((order) => order['status'])).toEqual(['filled']);
});
