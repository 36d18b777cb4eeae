/** The official SDK, unmodified, against the simulated data host: every method that the gateway uses. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { marketData } from '@alpacahq/alpaca-trade-api';
import { openDataVenue, type DataVenue } from '../../support/data-venue.js';

let venue: DataVenue;
let stocks: marketData.StockApi;
let options: marketData.OptionApi;
let occ = '';
beforeAll(async () => {
  venue = await openDataVenue({
    symbols: 20,
    optionUnderlyings: [{ underlying: 'AAPL', contracts: 400, expirations: 4 }],
  });
  const configuration = new marketData.Configuration({ keyId: venue.key, secret: venue.secret, basePath: venue.url });
  stocks = new marketData.StockApi(configuration);
  options = new marketData.OptionApi(configuration);
  occ = venue.market
    .contracts({ underlyings: ['AAPL'] })
    .find(({ symbol }) => venue.market.option(symbol)?.trade !== undefined)!.symbol;
});
afterAll(() => venue.close());

test('latest quotes, trades and bars of one and of many', async () => {
  const symbols = 'AAPL,BRK.B';
  const quotes = await stocks.stockLatestQuotes({ symbols });
  expect(quotes.quotes['AAPL']).toMatchObject({ bp: venue.market.quote('AAPL')!.bid });
  expect(Object.keys((await stocks.stockLatestTrades({ symbols })).trades)).toEqual(['AAPL', 'BRK.B']);
  expect(Object.keys((await stocks.stockLatestBars({ symbols })).bars)).toEqual(['AAPL', 'BRK.B']);
  expect((await stocks.stockLatestTradeSingle({ symbol: 'AAPL' })).trade.p).toBe(venue.market.last('AAPL'));
  expect((await stocks.stockLatestQuoteSingle({ symbol: 'AAPL' })).symbol).toBe('AAPL');
  expect((await stocks.stockLatestBarSingle({ symbol: 'AAPL' })).bar.t).toEqual(new Date('2026-01-05T15:59:00Z'));
});

test('snapshots of one and of many', async () => {
  expect(Object.keys(await stocks.stockSnapshots({ symbols: 'AAPL,MSFT' }))).toEqual(['AAPL', 'MSFT']);
  const one = await stocks.stockSnapshotSingle({ symbol: 'AAPL' });
  expect(one.latestTrade?.p).toBe(venue.market.last('AAPL'));
  expect(one.prevDailyBar?.t).toEqual(new Date('2026-01-02T05:00:00Z'));
});

test('history of bars, trades and quotes', async () => {
  const range = { start: new Date('2026-01-02T15:00:00Z'), end: new Date('2026-01-02T15:59:00Z') };
  const many = await stocks.stockBars({ symbols: 'AAPL,MSFT', timeframe: '5Min', ...range });
  expect(many.bars['AAPL']).toHaveLength(12);
  const one = await stocks.stockBarSingle({ symbol: 'AAPL', timeframe: '1Min', limit: 10, ...range });
  expect([one.bars.length, typeof one.nextPageToken]).toEqual([10, 'string']);
  const rest = await stocks.stockBarSingle({
    symbol: 'AAPL',
    timeframe: '1Min',
    pageToken: one.nextPageToken!,
    ...range,
  });
  expect(rest.bars).toHaveLength(50);
  expect((await stocks.stockTradeSingle({ symbol: 'AAPL', ...range })).trades).toHaveLength(59 * 4);
  expect(Object.keys((await stocks.stockQuotes({ symbols: 'MSFT', ...range })).quotes)).toEqual(['MSFT']);
  expect((await stocks.stockQuoteSingle({ symbol: 'MSFT', ...range })).quotes.length).toBeGreaterThan(0);
  expect(Object.keys((await stocks.stockTrades({ symbols: 'MSFT', ...range })).trades)).toEqual(['MSFT']);
});

test('chains, snapshots, latest values and history of options', async () => {
  const chain = await options.optionChain({ underlyingSymbol: 'AAPL', type: 'call', limit: 1000 });
  expect(Object.keys(chain.snapshots)).toHaveLength(venue.market.contracts({ type: 'call' }).length);
  expect(Object.keys((await options.optionSnapshots({ symbols: occ })).snapshots)).toEqual([occ]);
  expect((await options.optionLatestQuotes({ symbols: occ })).quotes[occ]?.ap).toBe(venue.market.quote(occ)!.ask);
  expect((await options.optionLatestTrades({ symbols: occ })).trades[occ]?.p).toBe(venue.market.last(occ));
  const range = { start: new Date('2026-01-02T05:00:00Z'), end: new Date('2026-01-02T23:00:00Z') };
  expect((await options.optionBars({ symbols: occ, timeframe: '1Hour', ...range })).bars[occ]).toHaveLength(7);
  expect((await options.optionTrades({ symbols: occ, limit: 5, ...range })).trades[occ]).toHaveLength(5);
});

test('the code tables', async () => {
  expect(await stocks.stockMetaExchanges()).toHaveProperty('V');
  expect(await stocks.stockMetaConditions({ ticktype: 'trade', tape: 'A' })).toHaveProperty('@');
  expect(await options.optionMetaExchanges()).toHaveProperty('W');
  expect(await options.optionMetaConditions({ ticktype: 'quote' })).toHaveProperty('A');
});

test('refusals reach the caller with status, code and message', async () => {
  await expect(stocks.stockLatestQuotes({ symbols: 'BRK-B' })).rejects.toMatchObject({
    status: 400,
    message: expect.stringContaining('invalid symbol: BRK-B'),
  });
  venue.faults.plan = 'basic';
  try {
    await expect(stocks.stockLatestQuotes({ symbols: 'AAPL', feed: 'sip' })).rejects.toMatchObject({
      status: 403,
      code: 42_210_000,
    });
  } finally {
    venue.faults.plan = 'plus';
  }
});
