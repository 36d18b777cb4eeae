import { afterEach, expect, test } from '@jest/globals';
import type { FeedRecord } from '../../../src/workers/market-data/market-data-feed.js';
import type { MarketData } from '../../../src/workers/market-data/market-data.js';
import { eventually } from '../../support/eventually.js';
import { bodyOf, CONTEXT, MarketWorkers, type MarketWorkersOptions } from '../../support/market-workers.js';
import {
  answered,
  aQuote,
  everythingQuoted,
  ScriptedUpstream,
  type ScriptedStream,
} from '../../support/scripted-upstream.js';

const STOCKS = 'v2/iex';

let workers = new MarketWorkers();

afterEach(async () => {
  await workers.close();
});

function start(
  accounts: [ScriptedUpstream, ...ScriptedUpstream[]],
  options?: MarketWorkersOptions,
): [MarketData, MarketData] {
  workers = new MarketWorkers(options);
  const both: [MarketData, MarketData] = [workers.start(0), workers.start(1)];
  workers.makeHub(0, accounts);
  return both;
}

function heardBy(worker: MarketData): FeedRecord[] {
  const heard: FeedRecord[] = [];
  worker.feed.onRecords((records) => heard.push(...records));
  return heard;
}

async function socketOf(upstream: ScriptedUpstream): Promise<ScriptedStream> {
  await eventually('a socket opens', () => upstream.open(STOCKS) !== undefined);
  const stream = upstream.open(STOCKS);
  if (stream === undefined) throw new TypeError('closed again');
  return stream;
}

const update = (symbol: string, fields: Record<string, unknown> = {}) => ({
  T: 'q',
  S: symbol,
  ...aQuote({ t: new Date(Date.UTC(2026, 0, 5, 15, 1)), ...fields }),
});

test('two workers that want the same symbol make one subscription upstream, which the last to leave ends', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  const [one, two] = start([master]);
  const socket = await socketOf(master);

  await one.feed.subscribe('quotes', ['AAPL']);
  await two.feed.subscribe('quotes', ['AAPL']);
  await two.feed.subscribe('quotes', ['AAPL']);
  await eventually('subscribed', () => socket.subscribed.quotes.has('AAPL'));

  one.feed.unsubscribe('quotes', ['AAPL']);
  two.feed.unsubscribe('quotes', ['AAPL']);
  await two.feed.subscribe('quotes', ['MSFT']);
  expect(socket.subscribed.quotes.has('AAPL')).toBe(true);
  two.feed.unsubscribe('quotes', ['AAPL']);
  await eventually('unsubscribed', () => !socket.subscribed.quotes.has('AAPL'));
});

test('an update reaches the table and exactly the workers that asked for its symbol', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  const [one, two] = start([master]);
  const socket = await socketOf(master);
  await one.feed.subscribe('quotes', ['AAPL']);
  await two.feed.subscribe('quotes', ['MSFT']);
  await eventually('both subscribed', () => socket.subscribed.quotes.size === 2);
  const [heardByOne, heardByTwo] = [heardBy(one), heardBy(two)];

  socket.send([update('MSFT', { bp: 41 }), update('AAPL', { bp: 42 })]);
  await eventually('both heard', () => heardByOne.some(is(42)) && heardByTwo.some(is(41)));

  expect(heardByOne.filter(({ symbol }) => symbol === 'MSFT')).toEqual([]);
  expect(JSON.parse(heardByTwo.find(is(41))?.json ?? '')).toMatchObject({
    type: 'quote',
    symbol: 'MSFT',
    bid_price: 41,
    timestamp: '2026-01-05T15:01:00Z',
    source: 'stream',
  });
  await eventually('in the table', () => bodyOf(two.door.quoteNow('AAPL'))['bid_price'] === 42);
  expect(two.feed.last('quotes', 'AAPL')?.json).toContain('"bid_price":42');
});

test('a subscribed symbol is read from memory however old its last change is', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  const [, two] = start([master], { settings: { quoteMaxAgeMs: -1 } });
  await socketOf(master);

  await two.feed.subscribe('quotes', ['AAPL']);

  await eventually('live', () => two.door.quoteNow('AAPL') !== undefined);
  expect(bodyOf(two.door.quoteNow('AAPL'))['stale']).toBeUndefined();
});

test('after each of five lost sockets every subscription is back and every value is fetched again', async () => {
  let price = 1;
  const master = new ScriptedUpstream('master', ({ url }) => {
    const symbols = (url.searchParams.get('symbols') ?? '').split(',');
    const quote = aQuote({ bp: price, t: new Date(Date.UTC(2026, 0, 5, 16, price)).toISOString() });
    return answered({ quotes: Object.fromEntries(symbols.map((symbol) => [symbol, quote])) });
  });
  const [, two] = start([master], { settings: { quoteMaxAgeMs: -1 } });
  const symbols = Array.from({ length: 20 }, (_, index) => `S${String(index)}`);
  await two.feed.subscribe('quotes', symbols);

  for (let loss = 0; loss < 5; loss += 1) {
    const socket = await socketOf(master);
    await eventually('all subscribed', () => socket.subscribed.quotes.size === symbols.length);
    await eventually('all current', () =>
      symbols.every((symbol) => bodyOf(two.door.quoteNow(symbol))['bid_price'] === price),
    );
    price += 1;
    socket.end({ detail: 'cut' });
  }

  await eventually('right at the end', () =>
    symbols.every((symbol) => bodyOf(two.door.quoteNow(symbol))['bid_price'] === price),
  );
});

test('while the socket is down a subscribed symbol is answered with the mark stale and its age', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  const [, two] = start([master], { settings: { quoteMaxAgeMs: 60_000 } });
  const socket = await socketOf(master);
  await two.feed.subscribe('quotes', ['AAPL']);
  await eventually('live', () => two.door.quoteNow('AAPL') !== undefined);
  master.onOpen = () => undefined;

  socket.end({ detail: 'cut' });

  await eventually('marked', () => bodyOf(two.door.quoteNow('AAPL'))['stale'] === true);
  expect(bodyOf(two.door.quoteNow('AAPL'))['age_ms']).toEqual(expect.any(Number));
});

test('a value fetched by REST never replaces a later one of the stream', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  const [, two] = start([master]);
  const socket = await socketOf(master);
  await two.feed.subscribe('quotes', ['AAPL']);
  await eventually('live', () => two.door.quoteNow('AAPL') !== undefined);
  socket.send([update('AAPL', { bp: 99, t: new Date(Date.UTC(2026, 0, 5, 18)) })]);
  await eventually('heard', () => bodyOf(two.door.quoteNow('AAPL'))['bid_price'] === 99);

  socket.end({ detail: 'cut' });
  await eventually('back', () => master.open(STOCKS)?.subscribed.quotes.has('AAPL') === true);
  await eventually('fetched after the gap', () => master.ledger.length >= 2);
  await eventually('live again', () => bodyOf(two.door.quoteNow('AAPL'))['stale'] === undefined);

  expect(bodyOf(two.door.quoteNow('AAPL'))['bid_price']).toBe(99);
});

test('clients over the limit are refused by name, and what the gateway subscribed on its own makes room first', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  const [, two] = start([master], { settings: { subscribeLimit: 3 } });
  const socket = await socketOf(master);
  for (let read = 0; read < 20; read += 1) {
    await two.door.execute({ kind: 'stock-quote', symbol: 'HOT' }, CONTEXT);
    two.door.quoteNow('HOT');
  }
  await eventually('the hot symbol is subscribed unasked', () => socket.subscribed.quotes.has('HOT'));

  const { refused } = await two.feed.subscribe('quotes', ['A', 'B', 'C', 'D']);

  expect(refused).toEqual(['D']);
  await eventually('room was made', () => socket.subscribed.quotes.size === 3 && !socket.subscribed.quotes.has('HOT'));
});

test('a symbol subscribed because it is read often is not fetched again for it, until a client wants it', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  const [, two] = start([master], { settings: { quoteMaxAgeMs: 60_000 } });
  const socket = await socketOf(master);
  for (let read = 0; read < 20; read += 1) {
    await two.door.execute({ kind: 'stock-quote', symbol: 'HOT' }, CONTEXT);
  }
  await eventually('the hot symbol is subscribed unasked', () => socket.subscribed.quotes.has('HOT'));
  const heard = heardBy(two);

  expect(bodyOf(two.door.quoteNow('HOT'))['stale']).toBeUndefined();
  expect(asked(master, 'HOT')).toBe(1);

  await two.feed.subscribe('quotes', ['HOT']);
  await eventually('its value is fetched for the client', () => heard.some(({ symbol }) => symbol === 'HOT'));
  expect(asked(master, 'HOT')).toBe(2);
});

test('a plan smaller than configured is learned from the refusal and the rest stays subscribed', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  master.onOpen = (stream) => {
    stream.onSubscribe = (symbols) => {
      const after = stream.subscribed.quotes.size + (symbols.quotes?.length ?? 0);
      if (after > 2) stream.fail(405);
      else stream.confirm(symbols);
    };
    stream.accept();
  };
  const [, two] = start([master]);
  const socket = await socketOf(master);

  await two.feed.subscribe('quotes', ['A', 'B', 'C', 'D', 'E']);
  await eventually('two fit', () => socket.subscribed.quotes.size === 2);

  await eventually('the limit is known', () => two.feed.last('quotes', 'A') !== undefined);
  expect((await two.feed.subscribe('quotes', ['F'])).refused).toEqual(['F']);
});

test('one symbol that the broker finds malformed does not keep the others from being subscribed', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  master.onOpen = (stream) => {
    stream.onSubscribe = (symbols) => {
      if (symbols.quotes?.includes('ODD7') === true) stream.fail(400);
      else stream.confirm(symbols);
    };
    stream.accept();
  };
  const [, two] = start([master]);
  const socket = await socketOf(master);

  await two.feed.subscribe('quotes', ['A', 'B', 'ODD7', 'C', 'D']);

  await eventually('the other four', () => socket.subscribed.quotes.size === 4);
});

test('a mute socket is found by asking REST and replaced; a quiet market is left alone', async () => {
  let minute = 0;
  let isMoving = false;
  const master = new ScriptedUpstream('master', () => {
    if (isMoving) minute += 1;
    return answered({ quotes: { AAPL: aQuote({ t: new Date(Date.UTC(2026, 0, 5, 15, minute)).toISOString() }) } });
  });
  const [, two] = start([master], { settings: { muteTimeoutMs: 60 } });
  const first = await socketOf(master);
  await two.feed.subscribe('quotes', ['AAPL']);
  await eventually('asked while quiet', () => master.ledger.length >= 4);
  expect(first.isOpen).toBe(true);

  isMoving = true;

  await eventually('replaced', () => !first.isOpen && master.open(STOCKS) !== undefined);
});

test('a master refused in the middle hands quotes and the stream to the stand-in, and gets them back', async () => {
  let isRefused = false;
  const master = new ScriptedUpstream('master', (request) =>
    isRefused ? answered({ message: 'forbidden' }, 403) : everythingQuoted(request),
  );
  master.onOpen = (stream) => {
    if (isRefused) stream.end({ code: 402, detail: 'auth failed' });
    else stream.accept();
  };
  const standIn = new ScriptedUpstream('account_005', everythingQuoted);
  const [, two] = start([master, standIn], { settings: { quoteMaxAgeMs: 20 } });
  const socket = await socketOf(master);
  await two.feed.subscribe('quotes', ['AAPL']);
  await eventually('live', () => two.door.quoteNow('AAPL') !== undefined);

  isRefused = true;
  socket.end({ code: 402, detail: 'auth failed' });
  await eventually('the stand-in streams', () => standIn.open(STOCKS)?.subscribed.quotes.has('AAPL') === true, 20_000);
  const answer = await two.door.execute({ kind: 'stock-quote', symbol: 'TSLA' }, CONTEXT);
  expect(bodyOf(answer)['source']).toBe('rest:account_005');

  isRefused = false;
  await eventually(
    'the master streams again',
    () => master.open(STOCKS)?.subscribed.quotes.has('AAPL') === true,
    40_000,
  );
  await eventually('the stand-in is let go', () => standIn.open(STOCKS) === undefined);
}, 30_000);

test('a killed hub is succeeded: the others announce what they want, and reads go on in between', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  const [, two] = start([master], { settings: { quoteMaxAgeMs: -1 } });
  const three = workers.start(2);
  await socketOf(master);
  await two.feed.subscribe('quotes', ['AAPL', 'MSFT']);
  await three.feed.subscribe('trades', ['TSLA']);
  await eventually('live', () => two.door.quoteNow('MSFT') !== undefined);

  await workers.kill(0);
  const between = await two.door.execute({ kind: 'stock-quote', symbol: 'AAPL' }, { ...CONTEXT, budgetMs: 50 });
  expect(bodyOf(between)).toMatchObject({ stale: true, symbol: 'AAPL' });
  workers.makeHub(2, [master]);

  const socket = await socketOf(master);
  await eventually('resubscribed', () => socket.subscribed.quotes.size === 2 && socket.subscribed.trades.has('TSLA'));
  await eventually('current again', () => two.door.quoteNow('AAPL') !== undefined);
});

test('a successor subscribes at once what its predecessor had subscribed because it was read', async () => {
  const first = new ScriptedUpstream('master', everythingQuoted);
  const [, two] = start([first], { settings: { quoteMaxAgeMs: 60_000 } });
  const before = await socketOf(first);
  for (let read = 0; read < 20; read += 1) {
    await two.door.execute({ kind: 'stock-quote', symbol: 'AAPL' }, CONTEXT);
  }
  await eventually('subscribed because it is read', () => before.subscribed.quotes.has('AAPL'));

  // Nobody is left who has read anything.
  await workers.kill(0);
  await workers.kill(1);
  const second = new ScriptedUpstream('master', everythingQuoted);
  workers.start(2);
  workers.makeHub(2, [second]);

  const after = await socketOf(second);
  await eventually('subscribed by the successor', () => after.subscribed.quotes.has('AAPL'));
});

test('a worker too slow for its updates gets the newest quote and every trade later', async () => {
  const master = new ScriptedUpstream('master', everythingQuoted);
  const [, two] = start([master]);
  const socket = await socketOf(master);
  await two.feed.subscribe('quotes', ['AAPL']);
  await two.feed.subscribe('trades', ['AAPL']);
  await eventually('subscribed', () => socket.subscribed.quotes.size === 1 && socket.subscribed.trades.size === 1);
  await eventually('caught up', () => two.door.quoteNow('AAPL') !== undefined);
  const heard = heardBy(two);
  const hub = workers.workers.get(0)?.mesh;
  if (hub === undefined) throw new TypeError('no hub');

  hub.isFull = true;
  for (let bid = 1; bid <= 50; bid += 1) {
    socket.send([
      update('AAPL', { bp: bid }),
      { T: 't', S: 'AAPL', p: bid, s: 1, i: 1, x: 'V', c: ['@'], z: 'C', t: new Date() },
    ]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  hub.isFull = false;
  socket.send([update('MSFT')]);
  socket.send([update('AAPL', { bp: 51 })]);

  await eventually('all trades', () => heard.filter(({ channel }) => channel === 'trades').length >= 50);
  await eventually('the newest quote', () => heard.some(is(51)));
  expect(heard.filter(({ channel }) => channel === 'quotes').length).toBeLessThan(50);
});

function is(bid: number): (record: FeedRecord) => boolean {
  return ({ json }) => json.includes(`"bid_price":${String(bid)},`);
}

function asked(upstream: ScriptedUpstream, symbol: string): number {
  return upstream.ledger.filter(({ url }) => url.searchParams.get('symbols')?.split(',').includes(symbol) === true)
    .length;
}
