/** Orders that an owner with another journal may have sent: what this one does alone proves nothing of them. */
import { expect, test } from '@jest/globals';
import type { AccountAnswer } from '../../../src/kernel/domain/account-request.js';
import {
  ACCOUNT,
  aContext,
  accepted,
  anOrder,
  answered,
  bodyOf,
  DeskFixture,
  NOT_FOUND,
  ScriptedSession,
  statusOf,
} from '../../support/order-desk.js';

const REFUSAL = answered(403, { code: 40310000, message: 'insufficient buying power' });

function ask(fixture: DeskFixture, naming: { idempotencyKey?: string; sentBefore?: 'never' | 'perhaps' }) {
  const order = anOrder();
  return fixture.desk.execute(
    { kind: 'submit-order', accountId: ACCOUNT, assetClass: 'stocks', order, dryRun: false, ...naming },
    aContext(),
  );
}

async function answerWithin(fixture: DeskFixture, asked: Promise<AccountAnswer>, ms: number): Promise<AccountAnswer> {
  await fixture.clock.advance(ms);
  return asked;
}

test('a refusal by the broker is final for an order that is new here, and unknown for one that was sent before', async () => {
  const session = new ScriptedSession((call) => (call.method === 'POST' ? REFUSAL : NOT_FOUND));
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);

  const fresh = await ask(fixture, { idempotencyKey: 'k1', sentBefore: 'never' });
  const again = await answerWithin(fixture, ask(fixture, { idempotencyKey: 'k2', sentBefore: 'perhaps' }), 2_000);

  expect(statusOf(fresh)).toBe('venue-rejected');
  expect(statusOf(again)).toBe(202);
});

test('what a rule of ours denies is looked for when it was sent before, and found, and not sent', async () => {
  const fixture = new DeskFixture({ risk: { maxOrderQty: '1' } });
  const session: ScriptedSession = new ScriptedSession((call) => {
    const id = new URLSearchParams(call.path.split('?')[1]).get('client_order_id');
    return call.method === 'GET' && id !== null ? accepted({ ...anOrder(), client_order_id: id }) : NOT_FOUND;
  });
  await fixture.desk.adopt(session);

  const denied = await ask(fixture, { idempotencyKey: 'k1', sentBefore: 'never' });
  const found = await answerWithin(fixture, ask(fixture, { idempotencyKey: 'k2', sentBefore: 'perhaps' }), 500);

  expect(statusOf(denied)).toBe('risk-denied');
  expect(statusOf(found)).toBe(201);
  expect(bodyOf(found)).toMatchObject({ id: 'broker-1' });
  expect(session.posts()).toEqual([]);
});

test.each(['journal', 'audit'])('with trouble in the %s one that was sent before is unknown', async (trouble) => {
  const session = new ScriptedSession(() => NOT_FOUND);
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);
  if (trouble === 'journal') fixture.store.refuses = true;
  else fixture.audit.refuses = true;

  expect(statusOf(await ask(fixture, { idempotencyKey: 'k1', sentBefore: 'never' }))).toBe('order-not-sent');
  expect(statusOf(await ask(fixture, { idempotencyKey: 'k2', sentBefore: 'perhaps' }))).toBe(202);
  expect(session.posts()).toEqual([]);
});

test('without its journal an account says `order-not-sent` only of what was nowhere before', async () => {
  const fixture = new DeskFixture();

  expect(statusOf(await ask(fixture, { idempotencyKey: 'k1', sentBefore: 'never' }))).toBe('order-not-sent');
  expect(statusOf(await ask(fixture, { idempotencyKey: 'k1' }))).toBe('account-unavailable');
  expect(statusOf(await ask(fixture, { idempotencyKey: 'k1', sentBefore: 'perhaps' }))).toBe('account-unavailable');
});
