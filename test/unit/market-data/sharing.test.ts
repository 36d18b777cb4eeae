/** Market data of two instances: alpha's hub has the sockets, beta follows. */
import { afterEach, expect, test } from '@jest/globals';
import type { FeedRecord } from '../../../src/workers/market-data/market-data-feed.js';
import type { MarketData } from '../../../src/workers/market-data/market-data.js';
import { shareQuotes } from '../../../src/workers/market-data/open-shared-quotes.js';
import { eventually } from '../../support/eventually.js';
import { bodyOf, CONTEXT, MarketWorkers } from '../../support/market-workers.js';
import { MemoryBusServer } from '../../support/memory-quote-bus.js';
import { aQuote, everythingQuoted, ScriptedUpstream, type ScriptedStream } from '../../support/scripted-upstream.js';

const STOCKS = 'v2/iex';
const LONG = { quoteMaxAgeMs: 60_000 };

let bus = new MemoryBusServer();
let holder: string | undefined;
const running: MarketWorkers[] = [];

afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.close()));
});

function instance(name: string, settings = {}): MarketWorkers {
  const shared = () => shareQuotes(bus.connect(), { self: name, holder: () => holder, members: () => 2 });
  const workers = new MarketWorkers({ shared, settings });
  running.push(workers);
  return workers;
}

interface Two {
  readonly alpha: MarketWorkers;
  readonly beta: MarketWorkers;
  readonly master: ScriptedUpstream;
  readonly here: MarketData;
  readonly there: readonly [MarketData, MarketData];
  readonly socket: ScriptedStream;
}

async function two(settings = {}): Promise<Two> {
  bus = new MemoryBusServer();
  holder = 'alpha';
  const alpha = instance('alpha', settings);
  const beta = instance('beta', settings);
  const here = alpha.start(0);
  const there = [beta.start(0), beta.start(1)] as const;
  const master = new ScriptedUpstream('master', everythingQuoted);
  alpha.makeHub(0, [master]);
  return { alpha, beta, master, here, there, socket: await socketOf(master) };
}

async function socketOf(upstream: ScriptedUpstream): Promise<ScriptedStream> {
  await eventually('a socket opens', () => upstream.open(STOCKS) !== undefined);
  const stream = upstream.open(STOCKS);
  if (stream === undefined) throw new TypeError('closed again');
  return stream;
}

function heardBy(worker: MarketData): FeedRecord[] {
  const heard: FeedRecord[] = [];
  worker.feed.onRecords((records) => heard.push(...records));
  return heard;
}

const update = (symbol: string, fields: Record<string, unknown> = {}): Record<string, unknown> => ({
  T: 'q',
  S: symbol,
  ...aQuote({ t: new Date(Date.UTC(2026, 0, 5, 15, 1)), ...fields }),
});

const trade = (symbol: string, id: number): Record<string, unknown> => ({
  ...{ T: 't', S: symbol, i: id, p: 100 + id, s: 1, x: 'V', c: ['@'], z: 'C' },
  t: new Date(Date.UTC(2026, 0, 5, 15, 2, id)),
});

function bidAt(worker: MarketData, symbol: string): unknown {
  return bodyOf(worker.door.quoteNow(symbol))['bid_price'];
}

test('a client of another instance gets every trade and the newest quotes by the one socket, and reads them there', async () => {
  const { beta, master, here, there, socket } = await two(LONG);
  const heard = heardBy(there[1]);
  await here.feed.subscribe('quotes', ['AAPL']);
  await there[1].feed.subscribe('quotes', ['AAPL', 'MSFT']);
  await there[1].feed.subscribe('trades', ['MSFT']);
  await eventually('subscribed', () => socket.subscribed.trades.has('MSFT') && socket.subscribed.quotes.has('MSFT'));

  socket.send([update('MSFT', { bp: 200.1 }), trade('MSFT', 1), trade('MSFT', 2), update('MSFT', { bp: 200.2 })]);
  await eventually('heard', () => heard.some(({ json }) => json.includes('"bid_price":200.2')));
  await eventually('trades', () => heard.filter(({ json }) => json.includes('"price":10')).length === 2);
  await eventually('read in both workers', () => there.every((worker) => bidAt(worker, 'MSFT') === 200.2));

  expect(master.streams.filter(({ path }) => path === STOCKS)).toHaveLength(1);
  expect(beta.workers.get(1)?.marketData.isHub()).toBe(false);
  there[1].feed.unsubscribe('quotes', ['AAPL', 'MSFT']);
  await eventually('the last to leave ends it', () => !socket.subscribed.quotes.has('MSFT'));
  expect(socket.subscribed.quotes.has('AAPL')).toBe(true);
});

test('the limit of the plan counts the clients of all instances, and the one too many is told which symbol', async () => {
  const { here, there, socket } = await two({ subscribeLimit: 2 });
  await here.feed.subscribe('quotes', ['AAPL']);
  await eventually('followed', () => bus.sent.followers.length > 0);

  const first = await there[0].feed.subscribe('quotes', ['MSFT', 'SPY']);
  const again = await there[1].feed.subscribe('quotes', ['MSFT']);

  expect([first, again]).toEqual([{ refused: ['SPY'] }, { refused: [] }]);
  await eventually('subscribed', () => socket.subscribed.quotes.size === 2);
  expect([...socket.subscribed.quotes].sort()).toEqual(['AAPL', 'MSFT']);
});

test('what is read in another instance is answered from its own table once a stream keeps it', async () => {
  const { there, socket } = await two();
  await eventually('read often enough', () => {
    there[1].door.quoteNow('AAPL');
    return socket.subscribed.quotes.has('AAPL');
  });
  socket.send([update('AAPL', { bp: 99.5 })]);

  await eventually('read there', () => bidAt(there[1], 'AAPL') === 99.5);
  expect(bodyOf(there[1].door.quoteNow('AAPL'))).toMatchObject({ source: 'stream', feed: 'iex' });
  expect(bodyOf(there[1].door.quoteNow('AAPL'))['stale']).toBeUndefined();
});

test('after a lost message nothing is called current until every value was sent again', async () => {
  const { there, socket } = await two(LONG);
  await there[0].feed.subscribe('quotes', ['AAPL', 'MSFT']);
  await eventually('subscribed', () => socket.subscribed.quotes.size === 2);
  socket.send([update('AAPL', { bp: 1 }), update('MSFT', { bp: 1 })]);
  await eventually('current', () => bidAt(there[1], 'AAPL') === 1 && bidAt(there[1], 'MSFT') === 1);
  const sentBefore = bus.sent.followers.length;

  bus.isLossy = true;
  socket.send([update('AAPL', { bp: 2 })]);
  await eventually('lost', () => bus.sent.followers.length > sentBefore);
  bus.isLossy = false;
  socket.send([update('MSFT', { bp: 2 })]);

  await eventually('the lost one is there', () => bidAt(there[1], 'AAPL') === 2 && bidAt(there[1], 'MSFT') === 2);
});

test('without a way between the instances reads go on from the table, marked stale', async () => {
  const { there, socket } = await two(LONG);
  await there[0].feed.subscribe('quotes', ['AAPL']);
  await eventually('subscribed', () => socket.subscribed.quotes.has('AAPL'));
  socket.send([update('AAPL', { bp: 7 })]);
  await eventually('current', () => bidAt(there[1], 'AAPL') === 7);

  bus.isDown = true;

  await eventually('stale', () => bodyOf(there[1].door.quoteNow('AAPL'))['stale'] === true);
  expect(bidAt(there[1], 'AAPL')).toBe(7);
  bus.isDown = false;
  await eventually('current again', () => bodyOf(there[1].door.quoteNow('AAPL'))['stale'] === undefined);
}, 20_000);

test('a follower that is killed is succeeded by another worker of its instance', async () => {
  const { beta, there, socket } = await two(LONG);
  const heard = heardBy(there[1]);
  await there[1].feed.subscribe('quotes', ['AAPL']);
  await eventually('subscribed', () => socket.subscribed.quotes.has('AAPL'));

  await beta.kill(0);

  await eventually('followed again', () => {
    socket.send([update('AAPL', { bp: 31 })]);
    return heard.some(({ json }) => json.includes('"bid_price":31'));
  });
});

test('the instance that takes over subscribes what its clients want and what was read', async () => {
  const { alpha, beta, there, socket } = await two(LONG);
  await there[1].feed.subscribe('trades', ['MSFT']);
  await eventually('read and wanted', () => {
    there[0].door.quoteNow('AAPL');
    return socket.subscribed.quotes.has('AAPL') && socket.subscribed.trades.has('MSFT');
  });
  socket.send([update('AAPL', { bp: 4 })]);
  await eventually('read there', () => bidAt(there[0], 'AAPL') === 4);

  await alpha.kill(0);
  holder = undefined;
  await eventually('read meanwhile', () => bodyOf(there[0].door.quoteNow('AAPL'))['symbol'] === 'AAPL');
  holder = 'beta';
  const heir = new ScriptedUpstream('master', everythingQuoted);
  beta.makeHub(1, [heir]);

  const after = await socketOf(heir);
  await eventually(
    'subscribed by the heir',
    () => after.subscribed.quotes.has('AAPL') && after.subscribed.trades.has('MSFT'),
  );
  expect(bodyOf(await there[1].door.execute({ kind: 'stock-quote', symbol: 'AAPL' }, CONTEXT))['symbol']).toBe('AAPL');
});

test('whatever else is said on the bus changes nothing', async () => {
  const { there, socket } = await two(LONG);
  await there[0].feed.subscribe('quotes', ['AAPL']);
  await eventually('subscribed', () => socket.subscribed.quotes.has('AAPL'));
  socket.send([update('AAPL', { bp: 5 })]);
  await eventually('current', () => bidAt(there[1], 'AAPL') === 5);
  const heard = heardBy(there[0]);

  const evil = '{"type":"quote","symbol":"AAPL","bid_price":1,"timestamp":"2027-01-01T00:00:00Z"}';
  const words = [
    '',
    'nonsense',
    '[]\n',
    '{"from":"alpha"}\n',
    `{"from":"gamma","hubId":"x","seq":1,"op":"records"}\n0 AAPL 4e12 ${evil}`,
    `{"from":"alpha","hubId":"x","seq":1,"op":"records"}\n0 MSFT 4e12 ${evil}\n9 AAPL 1 ${evil}\n0 AAPL x ${evil}`,
    '{"from":"alpha","hubId":"x","seq":2,"op":"wanted","to":"beta","session":7,"serial":"1","refused":9}\n',
  ];
  for (const word of words) bus.say('followers', Buffer.from(word));
  for (const word of [
    '',
    '7\n',
    '{"from":"beta"}\n',
    '{"from":"x","session":"1","serial":1,"wanted":7,"read":"A","reads":[]}\n',
  ]) {
    bus.say('hub', Buffer.from(word));
  }
  socket.send([update('AAPL', { bp: 6 })]);

  await eventually('goes on', () => bidAt(there[1], 'AAPL') === 6);
  expect(heard.filter(({ json }) => json.includes('2027'))).toEqual([]);
});
