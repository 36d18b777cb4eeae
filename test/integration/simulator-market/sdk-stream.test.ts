/** The official SDK's stock and option streams, unmodified, against the simulated feeds. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { streaming } from '@alpacahq/alpaca-trade-api';
import { openDataVenue, type DataVenue } from '../../support/data-venue.js';

let venue: DataVenue;
const opened: streaming.MarketDataStream[] = [];
beforeEach(async () => {
  venue = await openDataVenue({
    symbols: 20,
    optionUnderlyings: [{ underlying: 'AAPL', contracts: 400, expirations: 4 }],
  });
});
afterEach(async () => {
  for (const stream of opened.splice(0)) stream.disconnect();
  await venue.close();
});

function open<Stream extends streaming.MarketDataStream>(
  Class: new (options: { credentials: { keyId: string; secret: string }; url: string }) => Stream,
  feed: string,
): Stream {
  const credentials = { keyId: venue.key, secret: venue.secret };
  const stream = new Class({ credentials, url: `${venue.socketUrl}/${feed}` });
  opened.push(stream);
  return stream;
}

/** The first value that an event delivers. */
function once<T>(listen: (done: (value: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('nothing came')), 5_000);
    listen((value) => {
      clearTimeout(timer);
      resolve(value);
    });
  });
}

test('the stock stream gets trades with exact ids and times, quotes and bars', async () => {
  const stream = open(streaming.StockDataStream, 'v2/sip');
  stream.subscribeForTrades(['AAPL']);
  stream.subscribeForQuotes(['AAPL']);
  stream.subscribeForBars(['AAPL']);
  const subscribed = once((done) => stream.on(streaming.EVENT.SUBSCRIPTION, done));
  const trade = once<streaming.StreamTrade>((done) => stream.onTrade(done));
  const quote = once<streaming.StreamQuote>((done) => stream.onQuote(done));
  const bar = once<streaming.StreamBar>((done) => stream.onBar(done));
  stream.connect();
  await subscribed;

  venue.market.setPrice('AAPL', 222.5);
  venue.clock.advance(60_000);

  const book = venue.market.stock('AAPL')!;
  expect(await trade).toMatchObject({ symbol: 'AAPL', price: 222.5, idRaw: String(book.trade.i) });
  expect(await quote).toMatchObject({ symbol: 'AAPL', bidPrice: book.quote.bp, askPrice: book.quote.ap });
  expect(await bar).toMatchObject({ symbol: 'AAPL' });
});

test('the option stream gets quotes and trades', async () => {
  const occ = venue.market.contracts({ underlyings: ['AAPL'] })[10]!.symbol;
  const stream = open(streaming.OptionDataStream, 'v1beta1/opra');
  stream.subscribeForTrades([occ]);
  stream.subscribeForQuotes([occ]);
  const subscribed = once((done) => stream.on(streaming.EVENT.SUBSCRIPTION, done));
  const trade = once<streaming.StreamTrade>((done) => stream.onTrade(done));
  const quote = once<streaming.StreamQuote>((done) => stream.onQuote(done));
  stream.connect();
  await subscribed;

  venue.market.setPrice(occ, 3.21);

  expect(await trade).toMatchObject({ symbol: occ, price: 3.21 });
  expect(await quote).toMatchObject({ symbol: occ, askPrice: venue.market.quote(occ)!.ask });
});

test('a refused key ends the stream for good', async () => {
  venue.faults.refusedKeys.add(venue.key);
  const stream = open(streaming.StockDataStream, 'v2/iex');
  const error = once((done) => stream.on(streaming.EVENT.CLIENT_ERROR, done));
  stream.connect();
  expect(await error).toMatch(/auth failed/);
});

test('a dropped stream comes back by itself and has its subscriptions again', async () => {
  const stream = open(streaming.StockDataStream, 'v2/iex');
  stream.subscribeForTrades(['AAPL']);
  const first = once((done) => stream.on(streaming.EVENT.SUBSCRIPTION, done));
  stream.connect();
  await first;

  const second = once((done) => stream.on(streaming.EVENT.SUBSCRIPTION, done));
  venue.streams.dropFeed('v2/iex', true);

  expect(await second).toMatchObject({ trades: ['AAPL'] });
});
