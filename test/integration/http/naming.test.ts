/** What names an order is decided where its request is read. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { EdgeFixture, OWN, tokenFor } from '../../support/http-edge-fixture.js';

let edge: EdgeFixture;
beforeEach(async () => {
  edge = await new EdgeFixture().start();
});
afterEach(() => edge.stop());

const token = tokenFor(['trade']);
const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };

async function namingOf(body: object, headers: Record<string, string> = {}): Promise<object> {
  await edge.fetch(`/api/v1/accounts/${OWN}/orders/stocks`, {
    ...{ method: 'POST', token, headers },
    body: JSON.stringify(body),
  });
  const { idempotencyKey, sentBefore } = edge.accountRequests.at(-1) as {
    readonly idempotencyKey?: string;
    readonly sentBefore?: string;
  };
  return { idempotencyKey, sentBefore };
}

test('an order without key and id gets a key where it is read; one that has either keeps to it', async () => {
  expect(await namingOf(ORDER)).toEqual({ idempotencyKey: 'key-1', sentBefore: 'never' });
  expect(await namingOf({ ...ORDER, client_order_id: 'mine' })).toEqual({});
  expect(await namingOf(ORDER, { 'idempotency-key': 'k' })).toEqual({ idempotencyKey: 'k' });
});

test('a client_order_id counts at its own place only', async () => {
  const deeper = { ...ORDER, advanced_instructions: { algorithm: 'VWAP', client_order_id: 'not-mine' } };

  expect(await namingOf(deeper)).toEqual({ idempotencyKey: 'key-1', sentBefore: 'never' });
});

test('where an instance is alone, what a caller says of earlier attempts counts for nothing', async () => {
  const said = { 'idempotency-key': 'k', 'x-opitios-sent-before': 'perhaps', 'x-opitios-forwarded-by': 'me' };

  expect(await namingOf(ORDER, said)).toEqual({ idempotencyKey: 'k' });
});
