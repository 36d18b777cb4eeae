import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { EdgeFixture, OWN, tokenFor } from '../support/http-edge-fixture.js';

let edge: EdgeFixture;
beforeAll(async () => {
  edge = await new EdgeFixture().start();
});
afterAll(() => edge.stop());

const TOKEN = tokenFor(['trade', 'market_data', 'read'], [OWN]);
const ACCOUNT = `/api/v1/accounts/${OWN}`;
const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
const text = (changes: object): string => JSON.stringify({ ...ORDER, ...changes });
const raw = (qty: string): string => JSON.stringify(ORDER).replace('"1"', qty);
const nested = (depth: number): string => `{"advanced_instructions":${'['.repeat(depth)}${']'.repeat(depth)}}`;
const keys = JSON.stringify(Object.fromEntries(Array.from({ length: 201 }, (_, index) => [`k${index}`, 1])));

const BODIES: readonly (readonly [name: string, body: string | Buffer, status: number, field: string | undefined])[] = [
  ['a word', 'order', 400, 'body'],
  ['half an object', '{"symbol":', 400, undefined],
  ['something behind the object', `${text({})}{}`, 400, 'body'],
  ['a list', '[]', 400, 'body'],
  ['null', 'null', 400, 'body'],
  ['nothing', '', 400, undefined],
  ['a byte order mark', `\ufeff${text({})}`, 400, 'body'],
  ['bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 400, undefined],
  ['half a character', String.raw`{"symbol":"\ud800"}`, 400, 'symbol'],
  ['NaN', raw('NaN'), 400, 'qty'],
  ['Infinity', raw('Infinity'), 400, 'qty'],
  ['a number beyond a double', raw('1e400'), 400, 'qty'],
  ['a negative quantity', raw('-1'), 400, 'qty'],
  ['a negative quantity as text', text({ qty: '-1' }), 400, 'qty'],
  ['a quantity of zero', text({ qty: '0.00' }), 400, 'qty'],
  ['a huge quantity', text({ qty: '9'.repeat(40) }), 400, 'qty'],
  ['a huge quantity as a number', raw('1e30'), 400, 'qty'],
  ['a quantity that is a list', text({ qty: [1] }), 400, 'qty'],
  ['quantity and notional', text({ notional: '5' }), 400, 'notional'],
  ['neither quantity nor notional', text({ qty: undefined }), 400, 'qty'],
  ['a limit order without a price', text({ type: 'limit' }), 400, 'limit_price'],
  ['a stop order without a stop', text({ type: 'stop' }), 400, 'stop_price'],
  ['a trailing stop without a trail', text({ type: 'trailing_stop' }), 400, 'trail_price'],
  ['no side', text({ side: undefined }), 400, 'side'],
  ['an unknown side', text({ side: 'hold' }), 400, 'side'],
  ['an unknown type', text({ type: 'iceberg' }), 400, 'type'],
  ['an unknown time in force', text({ time_in_force: 'soon' }), 400, 'time_in_force'],
  ['a symbol of no known shape', text({ symbol: 'BAD!' }), 400, 'symbol'],
  ['an empty symbol', text({ symbol: '' }), 400, 'symbol'],
  ['a symbol with NUL', text({ symbol: 'AA\u0000PL' }), 400, 'symbol'],
  ['a symbol of 50 KB', text({ symbol: 'A'.repeat(50_000) }), 400, 'symbol'],
  ['a symbol of 100 KB', text({ symbol: 'A'.repeat(100_000) }), 413, undefined],
  ['an account in the body', text({ account_id: 'account_002' }), 400, 'account_id'],
  ['a field of the broker’s answer', text({ filled_qty: '1' }), 400, 'filled_qty'],
  ['an unknown field within a field', text({ stop_loss: { stop_price: '1', x: 1 } }), 400, 'stop_loss.x'],
  ['__proto__', '{"__proto__":{"qty":"1"}}', 400, '__proto__'],
  ['constructor', '{"constructor":{}}', 400, 'constructor'],
  ['an escaped __proto__', String.raw`{"\u005f_proto__":1}`, 400, '__proto__'],
  ['a doubled key', text({}).replace('{', '{"qty":"2",'), 400, 'qty'],
  ['too deep nesting', nested(20), 400, undefined],
  ['endless nesting', '['.repeat(30_000), 400, undefined],
  ['too many keys', keys, 400, undefined],
];

interface Document {
  code: string;
  status: number;
  request_id: string;
  errors?: { field: string }[];
}

test.each(BODIES)('an order body of %s is refused by name and goes nowhere', async (_name, body, status, field) => {
  const passedOn = edge.passedOn;

  const answer = await edge.fetch(`${ACCOUNT}/orders/stocks`, { method: 'POST', token: TOKEN, body: body as string });
  const document = (await answer.json()) as Document;

  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toBe('application/problem+json');
  expect(document).toMatchObject({ status, request_id: answer.headers.get('x-request-id') });
  if (field !== undefined) expect(document.errors?.map((error) => error.field)).toContain(field);
  expect(JSON.stringify(document).length).toBeLessThan(3_000);
  expect(edge.passedOn).toBe(passedOn);
});

const ID = '7b08df51-c1ac-453c-99f9-323a5f075f0d';
const TARGETS: readonly (readonly [target: string, status: number, field: string | undefined, method?: string])[] = [
  [`${ACCOUNT}/orders?limit=1&limit=2`, 400, 'limit'],
  [`${ACCOUNT}/orders?unknown=1`, 400, 'unknown'],
  [`${ACCOUNT}/orders?__proto__=1`, 400, '__proto__'],
  [`${ACCOUNT}/orders?limit=0`, 400, 'limit'],
  [`${ACCOUNT}/orders?limit=ten`, 400, 'limit'],
  [`${ACCOUNT}/orders?limit=501`, 400, 'limit'],
  [`${ACCOUNT}/orders?status=%ff`, 400, 'query'],
  [`${ACCOUNT}/orders?fresh=maybe`, 400, 'fresh'],
  [`${ACCOUNT}/orders?max_age=-1`, 400, 'max_age'],
  [`${ACCOUNT}/orders/not-an-id`, 400, 'order_id'],
  [`${ACCOUNT}/orders/${ID}/`, 404, undefined],
  [`${ACCOUNT}/orders/%ff`, 400, undefined],
  [`/api/v1/accounts/bad%20id/orders`, 400, 'account_id'],
  [`${ACCOUNT}/positions/AAPL?qty=1&percentage=50`, 400, 'percentage', 'DELETE'],
  [`${ACCOUNT}/positions/AAPL?qty=0`, 400, 'qty', 'DELETE'],
  [`/api/v1/stocks/quote/BAD!`, 400, 'symbol'],
  [`/api/v1/stocks/quote/AAPL%00`, 400, 'symbol'],
  [`/api/v1/stocks/bars/AAPL?timeframe=1Year`, 400, 'timeframe'],
  [`/api/v1/stocks/quotes`, 400, 'symbols'],
  [`/API/v1/clock`, 404, undefined],
];

test.each(TARGETS)('%s is refused with %i', async (target, status, field, method = 'GET') => {
  const passedOn = edge.passedOn;

  const answer = await edge.fetch(target, { method, token: TOKEN });
  const document = (await answer.json()) as Document;

  expect(answer.status).toBe(status);
  if (field !== undefined) expect(document.errors?.map((error) => error.field)).toContain(field);
  expect(edge.passedOn).toBe(passedOn);
});

test('a body of another type, coding or charset is refused with 415', async () => {
  const types = ['text/plain', 'application/json; charset=latin1', 'application/x-www-form-urlencoded'];
  for (const type of types) {
    const headers = { 'content-type': type };
    expect(
      (await edge.fetch(`${ACCOUNT}/orders/stocks`, { method: 'POST', token: TOKEN, body: text({}), headers })).status,
    ).toBe(415);
  }
  const headers = { 'content-encoding': 'gzip' };
  expect(
    (await edge.fetch(`${ACCOUNT}/orders/stocks`, { method: 'POST', token: TOKEN, body: text({}), headers })).status,
  ).toBe(415);
});

test('a key that is too long or not visible ASCII is refused', async () => {
  for (const key of ['k'.repeat(256), 'a b', 'é']) {
    const headers = { 'idempotency-key': key };
    const answer = await edge.fetch(`${ACCOUNT}/orders/stocks`, {
      method: 'POST',
      token: TOKEN,
      body: text({}),
      headers,
    });
    expect(answer.status).toBe(400);
  }
});

test('a malformed symbol of a batch is passed on: it costs only its own entry', async () => {
  const body = JSON.stringify({ symbols: ['AAPL', 'BAD!', ''] });

  const answer = await edge.fetch('/api/v1/stocks/quotes', { method: 'POST', token: TOKEN, body });

  expect(answer.status).toBe(200);
  expect(edge.marketRequests.at(-1)).toMatchObject({ kind: 'stock-quotes', symbols: ['AAPL', 'BAD!', ''] });
});

const ACCEPTED: readonly (readonly [string, 'stocks' | 'options', object])[] = [
  ['notional', 'stocks', { qty: undefined, notional: '10.50' }],
  ['fraction as a number', 'stocks', { qty: 0.5 }],
  [
    'bracket',
    'stocks',
    { order_class: 'bracket', take_profit: { limit_price: '2' }, stop_loss: { stop_price: '1', limit_price: '0.9' } },
  ],
  [
    'oco without a limit of its own',
    'stocks',
    { type: 'limit', order_class: 'oco', take_profit: { limit_price: '2' }, stop_loss: { stop_price: '1' } },
  ],
  ['oto', 'stocks', { order_class: 'oto', stop_loss: { stop_price: '1' } }],
  ['trailing stop', 'stocks', { type: 'trailing_stop', trail_percent: '1.5' }],
  [
    'extended hours',
    'stocks',
    { type: 'limit', limit_price: '1', extended_hours: true, client_order_id: 'c', position_intent: 'buy_to_open' },
  ],
  ['option', 'options', { symbol: 'AAPL250620C00100000' }],
  [
    'spread for a credit',
    'options',
    {
      symbol: undefined,
      side: undefined,
      type: 'limit',
      limit_price: '-1.25',
      order_class: 'mleg',
      legs: [
        { symbol: 'AAPL250620C00100000', ratio_qty: '1', side: 'buy', position_intent: 'buy_to_open' },
        { symbol: 'AAPL250620C00110000', ratio_qty: '1', side: 'sell', position_intent: 'sell_to_open' },
      ],
    },
  ],
];

test.each(ACCEPTED)('an order with %s reaches the router unchanged', async (_name, kind, changes) => {
  const body = text(changes);

  const answer = await edge.fetch(`${ACCOUNT}/orders/${kind}`, { method: 'POST', token: TOKEN, body });

  expect(answer.status).toBe(201);
  expect(edge.accountRequests.at(-1)).toMatchObject({ assetClass: kind, order: JSON.parse(body) as object });
});
