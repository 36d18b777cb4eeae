/** What a stranger or a broken program may send: each is refused in words, and nothing of it reaches the broker. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { callerOf, ledgerEnd, writesSince, type Caller } from '../support/gateway-orders.js';
import type { GatewayProcess } from '../support/gateway-process.js';
import { startGateway } from '../support/gateway-under-test.js';

let gateway: GatewayProcess;
let call: Caller;
beforeAll(async () => {
  gateway = await startGateway({ accounts: 3, workers: 2 });
  call = await callerOf(gateway);
}, 90_000);
afterAll(() => gateway.stop(), 60_000);

const STOCKS = '/accounts/account_001/orders/stocks';
const good = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '10.00', time_in_force: 'day' };
const text = (change: Record<string, unknown>): string => JSON.stringify({ ...good, ...change });

const cases: readonly (readonly [string, string, string | undefined])[] = [
  ['malformed JSON', '{"symbol":"AAPL",', undefined],
  ['no JSON at all', 'hello', undefined],
  ['an array', '[]', undefined],
  ['nothing', '', undefined],
  ['NaN', text({}).replace('"10.00"', 'NaN'), undefined],
  ['NaN as text', text({ qty: 'NaN' }), 'qty'],
  ['infinity', text({ qty: 'Infinity' }), 'qty'],
  ['1e400', text({}).replace('"qty":"1"', '"qty":1e400'), 'qty'],
  ['a huge quantity', text({ qty: '9'.repeat(40) }), 'qty'],
  ['a negative quantity', text({ qty: '-1' }), 'qty'],
  ['zero', text({ qty: '0' }), 'qty'],
  ['quantity and notional', text({ notional: '5' }), undefined],
  ['an unknown field', text({ quantity: '5' }), 'quantity'],
  ['another account in the body', text({ account_id: 'account_002' }), 'account_id'],
  ['NUL in a symbol', text({ symbol: 'AA\u0000PL' }), 'symbol'],
  ['a symbol of 100 KB', text({ symbol: 'A'.repeat(100_000) }), undefined],
  ['a symbol of 1 KB', text({ symbol: 'A'.repeat(1_000) }), 'symbol'],
  ['a symbol that is a path', text({ symbol: '../v2/account' }), 'symbol'],
  ['an object as symbol', text({ symbol: { a: 1 } }), 'symbol'],
  ['__proto__', `{"__proto__":{"qty":"9"},${text({}).slice(1)}`, '__proto__'],
  ['constructor', `{"constructor":{"prototype":{"qty":"9"}},${text({}).slice(1)}`, 'constructor'],
  ['a field twice', `{"qty":"5",${text({}).slice(1)}`, 'qty'],
  ['a wrong side', text({ side: 'hold' }), 'side'],
  ['a missing limit', JSON.stringify({ ...good, limit_price: undefined }), 'limit_price'],
  ['depth 100', text({ advanced_instructions: JSON.parse('{"a":'.repeat(100) + '1' + '}'.repeat(100)) as object }), undefined],
]; // prettier-ignore

test.each(cases)('an order with %s is refused and nothing reaches the broker', async (_name, body, field) => {
  const since = await ledgerEnd(gateway);
  const answer = await call('POST', STOCKS, body);
  expect(answer.status).toBeGreaterThanOrEqual(400);
  expect(answer.status).toBeLessThan(500);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  for (const member of ['type', 'title', 'status', 'code', 'request_id']) expect(answer.json).toHaveProperty(member);
  if (field !== undefined) expect(answer.text).toContain(field);
  expect(await writesSince(gateway, since)).toEqual([]);
});

test('a wrong content type, a doubled or unknown query parameter and odd keys are refused', async () => {
  const since = await ledgerEnd(gateway);
  const statuses = [
    await call('POST', STOCKS, text({}), { 'content-type': 'text/plain' }),
    await call('POST', STOCKS, text({}), { 'content-type': 'application/x-www-form-urlencoded' }),
    await call('POST', `${STOCKS}?dryrun=true`, text({})),
    await call('POST', `${STOCKS}?dry_run=true&dry_run=false`, text({})),
    await call('POST', `${STOCKS}?dry_run=yes`, text({})),
    await call('POST', STOCKS, text({}), { 'idempotency-key': 'k'.repeat(256) }),
    await call('POST', STOCKS, text({}), { 'idempotency-key': '' }),
    await call('DELETE', '/accounts/account_001/orders/not-an-id'),
    await call('GET', '/accounts/account_001/orders?status=odd'),
    await call('GET', '/accounts/account_001/orders?limit=501'),
  ].map(({ status }) => status);
  expect(statuses).toEqual([415, 415, 400, 400, 400, 400, 400, 400, 400, 400]);
  expect(await writesSince(gateway, since)).toEqual([]);
});

test('an unknown address is 404, a wrong method 405 with what is allowed', async () => {
  expect((await call('GET', '/no-such-place')).status).toBe(404);
  const wrong = await call('PUT', STOCKS, good);
  expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, expect.stringContaining('POST')]);
});

test('a foreign and a missing account get the same answer, on every kind of route', async () => {
  const authorization = `Bearer ${await gateway.token({ accounts: ['account_001'] })}`;
  const since = await ledgerEnd(gateway);
  const answerAbout = async (id: string, method: string, rest: string, body?: object): Promise<unknown> => {
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) };
    const response = await fetch(`${gateway.url}/api/v1/accounts/${id}${rest}`, { method, headers, ...init });
    const problem = (await response.json()) as Record<string, unknown>;
    delete problem['request_id'];
    // A refusal before the whole body has arrived ends its connection: timing, which says nothing of the account
    // (RFC 9110 7.6.1, hop by hop).
    const ofTheHop = new Set(['connection', 'date', 'keep-alive']);
    const names = [...response.headers.keys()].filter((name) => !ofTheHop.has(name)).sort();
    return { status: response.status, problem, names };
  };
  const order = '7b08df51-c1ac-453c-99f9-323a5f075f0d';
  for (const [method, rest, body] of [
    ['GET', '/account'],
    ['GET', '/positions'],
    ['GET', `/orders/${order}`],
    ['GET', '/audit'],
    ['POST', '/orders/stocks', good],
    ['DELETE', `/orders/${order}`],
    ['DELETE', '/orders'],
    ['DELETE', '/positions/AAPL'],
  ] as const) {
    const foreign = await answerAbout('account_002', method, rest, body);
    expect(foreign).toMatchObject({ status: 404, problem: { code: 'account-not-found' } });
    expect(await answerAbout('account_999', method, rest, body)).toEqual(foreign);
    expect(await answerAbout('ACCOUNT_001', method, rest, body)).toEqual(foreign);
  }
  expect(await writesSince(gateway, since)).toEqual([]);
});
