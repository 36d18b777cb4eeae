/** What an order may look like is checked here, by field; what is absent may also be written as `null`. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { EdgeFixture, OWN, tokenFor } from '../../support/http-edge-fixture.js';

let edge: EdgeFixture;
beforeEach(async () => {
  edge = await new EdgeFixture().start();
});
afterEach(() => edge.stop());

const token = tokenFor(['trade']);
const STOCK = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };

const send = (assetClass: string, body: object): Promise<Response> =>
  edge.fetch(`/api/v1/accounts/${OWN}/orders/${assetClass}`, { method: 'POST', token, body: JSON.stringify(body) });

async function refusedFields(assetClass: string, body: object): Promise<readonly string[]> {
  const response = await send(assetClass, body);
  const { errors } = (await response.json()) as { readonly errors?: readonly { readonly field: string }[] };
  expect([response.status, edge.accountRequests]).toEqual([400, []]);
  return (errors ?? []).map(({ field }) => field);
}

test('`null` for an optional member is the same as its absence', async () => {
  const nulls = { client_order_id: null, limit_price: null, notional: null, take_profit: null, order_class: null };
  const leg = { symbol: 'AAPL271217C00100000', ratio_qty: '1', side: 'buy', position_intent: null };
  const multiLeg = { qty: '1', type: 'market', time_in_force: 'day', order_class: 'mleg', legs: [leg], symbol: null };

  expect((await send('stocks', { ...STOCK, ...nulls })).status).toBe(201);
  expect((await send('options', multiLeg)).status).toBe(201);
  expect(edge.accountRequests[0]).toMatchObject({ order: STOCK });
  expect(edge.accountRequests[1]).toMatchObject({ order: { legs: [{ symbol: leg.symbol }] } });
});

test.each([
  ['more than nine decimals', 'stocks', { ...STOCK, qty: '0.1234567891' }, 'qty'],
  ['more than nine decimals as a number', 'stocks', { ...STOCK, qty: 0.1234567891 }, 'qty'],
  ['a month 13', 'options', { ...STOCK, symbol: 'AAPL271317C00100000' }, 'symbol'],
  ['a month 13 on the route of stocks', 'stocks', { ...STOCK, symbol: 'AAPL271317C00100000' }, 'symbol'],
  ['a month 13 in lower case', 'stocks', { ...STOCK, symbol: 'aapl271317c00100000' }, 'symbol'],
  ['a day 32', 'options', { ...STOCK, symbol: 'AAPL271232C00100000' }, 'symbol'],
])('%s is refused by field', async (_, assetClass, body, field) => {
  expect(await refusedFields(assetClass, body)).toEqual([field]);
});
