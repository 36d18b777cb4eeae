/** The broker took the order: no oddity of its answer makes that an error. */
import { expect, test } from '@jest/globals';
import {
  ACCOUNT,
  anOrder,
  answered,
  bodyOf,
  DeskFixture,
  ScriptedSession,
  statusOf,
} from '../../support/order-desk.js';

async function submitted(rewritten: Record<string, unknown>, order = anOrder()) {
  const session = new ScriptedSession((call, body) =>
    call.method === 'POST'
      ? answered(200, { id: 'broker-1', status: 'new', ...body, ...rewritten })
      : answered(404, { code: 40410000, message: 'not found' }),
  );
  const fixture = new DeskFixture();
  await fixture.desk.adopt(session);
  const asked = fixture.submit(order, { key: 'k1' });
  await fixture.clock.advance(3_000);
  return asked;
}

test.each([
  ['a line break', 'a\r\nx-evil: 1'],
  ['letters of another alphabet', 'ордер'],
  ['ten thousand characters', 'x'.repeat(10_000)],
])('an order id with %s is answered 201 without a Location', async (_, id) => {
  const answer = await submitted({ id });

  expect(statusOf(answer)).toBe(201);
  expect(bodyOf(answer).id).toBe(id);
  expect(answer.kind === 'answer' && answer.headers['location']).toBeUndefined();
});

test('an order id that needs it stands encoded in the Location', async () => {
  const answer = await submitted({ id: 'a/b?c' });

  expect(answer).toMatchObject({ status: 201, headers: { location: `/api/v1/accounts/${ACCOUNT}/orders/a%2Fb%3Fc` } });
});

test('under a derived id an order is ours although the broker rewrote its price, its type and its force', async () => {
  const answer = await submitted({ limit_price: '3.33', type: 'market', time_in_force: 'gtc', note: { odd: [null] } });

  expect(statusOf(answer)).toBe(201);
});

test('under a derived id an answer of another symbol is another order’s', async () => {
  expect(statusOf(await submitted({ symbol: 'MSFT' }))).toBe(202);
});

test('under an id of the caller’s choice another price is another order', async () => {
  expect(statusOf(await submitted({ limit_price: '3.33' }, anOrder({ client_order_id: 'mine' })))).toBe(202);
});
