/** Every kind of read through a whole gateway, against the document that the gateway itself serves. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { callerOf, type Caller } from '../support/gateway-orders.js';
import type { GatewayProcess } from '../support/gateway-process.js';
import { startGateway } from '../support/gateway-under-test.js';

let gateway: GatewayProcess;
let call: Caller;
let document: { readonly paths: Record<string, Record<string, unknown>>; readonly [key: string]: unknown };
const ajv = new Ajv2020({ strict: false, validateFormats: false });

beforeAll(async () => {
  gateway = await startGateway({ accounts: 2, workers: 2, simulator: ['--rate', '100000', '--options', 'AAPL'] });
  call = await callerOf(gateway);
  document = (await call('GET', '/openapi.json')).json as typeof document;
  ajv.addSchema({ ...document, $id: 'document' });
}, 90_000);
afterAll(() => gateway.stop(), 60_000);

const A = '/accounts/account_001';
const FROM = '2026-01-05T14:30:00Z';

test.each([
  ['/stocks/quote/{symbol}', '/stocks/quote/AAPL'],
  ['/stocks/quotes', '/stocks/quotes?symbols=AAPL,BAD!,MSFT'],
  ['/stocks/bars/{symbol}', '/stocks/bars/AAPL?timeframe=1Day&limit=5'],
  ['/stocks/trades/{symbol}/latest', '/stocks/trades/AAPL/latest'],
  ['/stocks/snapshots', '/stocks/snapshots?symbols=AAPL,MSFT'],
  ['/options/chain/{symbol}', '/options/chain/AAPL'],
  ['/options/contracts', '/options/contracts?underlying_symbols=AAPL&limit=5'],
  ['/assets', '/assets'],
  ['/assets/{symbol}', '/assets/AAPL'],
  ['/clock', '/clock'],
  ['/calendar', '/calendar?start=2026-01-05&end=2026-01-09'],
  ['/accounts', '/accounts'],
  ['/accounts/{account_id}/account', `${A}/account`],
  ['/accounts/{account_id}/positions', `${A}/positions`],
  ['/accounts/{account_id}/orders', `${A}/orders?status=all&limit=5&direction=asc&nested=true&side=buy&symbols=AAPL`],
  ['/accounts/{account_id}/orders', `${A}/orders?status=closed&after=${FROM}&until=2030-01-01`],
  ['/accounts/{account_id}/activities', `${A}/activities?activity_types=FILL&page_size=5&direction=desc`],
  ['/accounts/{account_id}/portfolio/history', `${A}/portfolio/history?period=1M&timeframe=1D`],
  ['/accounts/{account_id}/audit', `${A}/audit?limit=5`],
  ['/pool', '/pool'],
  ['/pool/{account_id}', '/pool/account_001'],
  ['/health', '/health'],
  ['/health/live', '/health/live'],
  ['/health/ready', '/health/ready'],
])('GET %s answers as its document says: %s', async (template, path) => {
  const answer = await call('GET', path);
  expect(`${answer.status} ${answer.text.slice(0, 500)}`).toMatch(/^200 /);
  const place = `/api/v1${template}`;
  expect(document.paths).toHaveProperty([place, 'get']);
  const pointer = place.replaceAll('/', '~1').replaceAll('{', '%7B').replaceAll('}', '%7D');
  const check = ajv.compile({
    $ref: `document#/paths/${pointer}/get/responses/200/content/application~1json/schema`,
  });
  check(answer.json);
  expect(check.errors ?? []).toEqual([]);
});

test('a bad symbol costs only its own entry; a single unknown one is 404', async () => {
  const { json } = await call('GET', '/stocks/quotes?symbols=AAPL,BAD!,MSFT');
  expect(json).toMatchObject({ count: 3, quotes: [{ symbol: 'AAPL' }, { symbol: 'BAD!', error: {} }, { symbol: 'MSFT' }] }); // prettier-ignore
  expect((await call('GET', '/stocks/quote/ZZZZZ')).status).toBe(404);
});

test('the docs page and its parts open', async () => {
  for (const path of ['/docs', '/docs/docs.js', '/docs/docs.css']) expect((await call('GET', path)).status).toBe(200);
});
