import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { openDataVenue, type DataVenue } from '../../support/data-venue.js';

interface Sample {
  readonly path: string;
  readonly body: unknown;
}
const samples: readonly Sample[] = JSON.parse(readFileSync('test/payloads/market-data/rest.json', 'utf8'));

let venue: DataVenue;
let contract = '';
beforeAll(async () => {
  venue = await openDataVenue({
    symbols: 40,
    optionUnderlyings: [
      { underlying: 'AAPL', contracts: 3_000, expirations: 25 },
      { underlying: 'MSFT', contracts: 120, expirations: 4 },
    ],
  });
  contract = venue.market.contracts({ underlyings: ['AAPL'] }).find(({ symbol }) => {
    const book = venue.market.option(symbol);
    return book?.trade !== undefined && book.greeks != null;
  })!.symbol;
});
afterAll(() => venue.close());

/** The shape of a value: names and types, with OCC symbols and tickers as one name and arrays by their first element. */
function shapeOf(value: any): any {
  if (Array.isArray(value)) return value.length === 0 ? [] : [shapeOf(value[0])];
  if (value === null || typeof value !== 'object') return value === null ? 'null' : typeof value;
  const entries = Object.entries(value).map(([key, each]) => [
    /^[A-Z0-9.]{2,}$/.test(key) ? 'SYMBOL' : key,
    shapeOf(each),
  ]);
  return Object.fromEntries(entries);
}

test.each(samples)('GET $path has the shape of its sample', async ({ path, body }) => {
  const answer = await venue.get(path.replace('{contract}', contract));
  expect(answer.status).toBe(200);
  expect(shapeOf(answer.body)).toEqual(shapeOf(body));
});

test('unknown symbols are left out and one malformed symbol fails the whole request', async () => {
  const some = await venue.get('/v2/stocks/quotes/latest?symbols=AAPL,ZZZZZ');
  expect(Object.keys(some.body.quotes)).toEqual(['AAPL']);

  const bad = await venue.get('/v2/stocks/quotes/latest?symbols=AAPL,BRK-B');
  expect([bad.status, bad.body]).toEqual([400, { message: 'invalid symbol: BRK-B' }]);
});

test.each([
  ['/v2/stocks/trades/latest?symbols=ZZZZZ', { trades: {} }],
  ['/v2/stocks/snapshots?symbols=ZZZZZ', {}],
  ['/v2/stocks/bars?symbols=ZZZZZ&timeframe=1Day', { bars: {}, next_page_token: null }],
  ['/v1beta1/options/quotes/latest?symbols=AAPL250117C00100000', { quotes: {} }],
  ['/v1beta1/options/snapshots/ZZZZ', { next_page_token: null, snapshots: {} }],
])('%s of nothing known is empty', async (path, expected) => {
  const { status, body } = await venue.get(path);
  expect([status, body]).toEqual([200, expected]);
});

test('a wrong key is answered with an HTML page, or with JSON when switched', async () => {
  const wrong = { 'APCA-API-KEY-ID': venue.key, 'APCA-API-SECRET-KEY': 'no' };
  const page = await venue.get('/v2/stocks/quotes/latest?symbols=AAPL', wrong);
  expect([page.status, page.type]).toEqual([401, 'text/html']);
  expect(page.text).toContain('401 Authorization Required');

  venue.faults.unauthorizedStyle = 'json-403';
  const json = await venue.get('/v2/stocks/quotes/latest?symbols=AAPL', wrong);
  venue.faults.unauthorizedStyle = 'html-401';
  expect([json.status, json.body]).toEqual([403, { message: 'forbidden.' }]);
});

test('a refused key is refused in the middle of a run', async () => {
  venue.faults.refusedKeys.add(venue.key);
  const { status } = await venue.get('/v2/stocks/quotes/latest?symbols=AAPL');
  venue.faults.refusedKeys.delete(venue.key);
  expect(status).toBe(401);
});

test('the basic plan is refused what it has not paid for: status 403 with code 42210000', async () => {
  const denied = [403, 42_210_000];
  const ask = async (path: string): Promise<unknown[]> => {
    const { status, body } = await venue.get(path);
    return [status, body.code];
  };
  venue.faults.plan = 'basic';
  try {
    expect(await ask('/v2/stocks/quotes/latest?symbols=AAPL&feed=sip')).toEqual(denied);
    expect(await ask('/v2/stocks/bars?symbols=AAPL&timeframe=1Min&end=2026-01-05T15:59:00Z')).toEqual(denied);
    expect(await ask(`/v1beta1/options/quotes/latest?symbols=${contract}&feed=opra`)).toEqual(denied);
    expect(await ask('/v2/stocks/quotes/latest?symbols=AAPL')).toEqual([200, undefined]);
    expect(await ask('/v2/stocks/bars?symbols=AAPL&timeframe=1Min&end=2026-01-05T15:45:00Z')).toEqual([200, undefined]);
    const { body } = await venue.get('/v2/stocks/AAPL/bars?timeframe=1Min');
    expect(body.bars.at(-1).t).toBe('2026-01-05T15:45:00Z');
  } finally {
    venue.faults.plan = 'plus';
  }
});

test.each([
  '/v2/stocks/quotes/latest',
  '/v2/stocks/quotes/latest?symbols=AAPL&feed=nasdaq',
  '/v2/stocks/bars?symbols=AAPL&timeframe=1Min&limit=0',
  '/v2/stocks/bars?symbols=AAPL&timeframe=1Min&limit=10001',
  '/v2/stocks/bars?symbols=AAPL&timeframe=1Min&start=yesterday',
  '/v2/stocks/bars?symbols=AAPL&timeframe=1Min&start=2026-01-03&end=2026-01-02',
  '/v2/stocks/bars?symbols=AAPL&timeframe=1Min&sort=up',
  '/v2/stocks/bars?symbols=AAPL&timeframe=1Min&adjustment=none',
  '/v2/stocks/bars?symbols=AAPL&timeframe=1Min&page_token=xyz',
  '/v1beta1/options/snapshots/AAPL?limit=1001',
  '/v1beta1/options/snapshots/AAPL?type=straddle',
  '/v1beta1/options/snapshots/AAPL?expiration_date=soon',
  '/v1beta1/options/quotes/latest?symbols=AAPL',
  `/v1beta1/options/snapshots?symbols=${Array.from({ length: 101 }, (_, at) => `AAPL260116C00${String(100000 + at)}`).join(',')}`,
])('GET %s is refused with 400', async (path) => {
  const { status, body } = await venue.get(path);
  expect(status).toBe(400);
  expect(typeof body.message).toBe('string');
});

test('the pages of a chain put together are the chain, every contract once', async () => {
  const seen: string[] = [];
  let token: string | null = '';
  while (token !== null) {
    const path = `/v1beta1/options/snapshots/AAPL?limit=1000&page_token=${encodeURIComponent(token)}`;
    const { body }: { body: any } = await venue.get(path);
    seen.push(...Object.keys(body.snapshots));
    token = body.next_page_token;
  }
  const all = venue.market.contracts({ underlyings: ['AAPL'] });
  expect(seen).toEqual(all.map(({ symbol }) => symbol));
  expect(all.length).toBeGreaterThan(2_900);
  expect(all.length).toBeLessThan(3_100);
  expect(new Set(all.map(({ expiration_date }) => expiration_date)).size).toBe(25);
});

test('a chain obeys its filters', async () => {
  const expiration = venue.market.contract(contract)!.expiration_date;
  const query = `type=put&strike_price_gte=220&strike_price_lte=230&expiration_date=${expiration}&limit=1000`;
  const { body } = await venue.get(`/v1beta1/options/snapshots/AAPL?${query}`);
  const found = Object.keys(body.snapshots).map((symbol) => venue.market.contract(symbol)!);
  expect(found.length).toBeGreaterThan(3);
  for (const each of found) {
    expect(each).toMatchObject({ type: 'put', expiration_date: expiration });
    expect(Number(each.strike_price)).toBeGreaterThanOrEqual(220);
    expect(Number(each.strike_price)).toBeLessThanOrEqual(230);
  }
});

test('some contracts lack greeks, implied volatility or a trade; most have them', async () => {
  // Beyond the nearest expirations, where the real feed has fewer gaps as well.
  const query = 'expiration_date_gte=2026-02-01&limit=1000';
  const { body } = await venue.get(`/v1beta1/options/snapshots/AAPL?${query}`);
  const all: any[] = Object.values(body.snapshots);
  const without = (key: string): number => all.filter((each) => each[key] == null).length;
  for (const key of ['greeks', 'impliedVolatility', 'latestTrade']) {
    expect(without(key)).toBeGreaterThan(0);
    expect(without(key)).toBeLessThan(all.length / 2);
  }
  expect(without('latestQuote')).toBe(0);
});

test('a price put by hand is what every door of the market shows', async () => {
  venue.market.setPrice('MSFT', 400);
  venue.market.setPrice(contract, 12.34);

  const trade = await venue.get('/v2/stocks/MSFT/trades/latest');
  expect(trade.body.trade.p).toBe(400);
  expect(venue.market.last('MSFT')).toBe(400);
  const { body } = await venue.get(`/v1beta1/options/trades/latest?symbols=${contract}`);
  expect(body.trades[contract].p).toBe(12.34);
  const snapshot = await venue.get(`/v1beta1/options/snapshots?symbols=${contract}`);
  expect(snapshot.body.snapshots[contract].latestTrade.p).toBe(12.34);
  expect(snapshot.body.snapshots[contract].latestQuote.bp).toBe(venue.market.quote(contract)!.bid);
});

test('a chain follows its underlying, also through the page cache', async () => {
  const path = '/v1beta1/options/snapshots/MSFT?type=call&limit=1000';
  venue.market.setPrice('MSFT', 400);
  const low = await venue.get(path);
  expect((await venue.get(path)).text).toBe(low.text);
  venue.market.setPrice('MSFT', 440);
  const high = await venue.get(path);

  const sum = (body: any): number => {
    let total = 0;
    for (const each of Object.values<any>(body.snapshots)) total += Number(each.latestQuote.ap);
    return total;
  };
  expect(sum(high.body)).toBeGreaterThan(sum(low.body));
});
