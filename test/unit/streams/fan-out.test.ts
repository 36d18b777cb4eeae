import { beforeEach, expect, test } from '@jest/globals';
import type { FeedRecord, MarketDataFeed } from '../../../src/workers/market-data/market-data-feed.js';
import type { MarketReader } from '../../../src/workers/streams/audience.js';
import { MarketFanOut } from '../../../src/workers/streams/market-fan-out.js';
import { Outbox } from '../../../src/workers/streams/outbox.js';
import { ManualClock } from '../../support/manual-clock.js';

const quote = (symbol: string, price: number): FeedRecord => ({
  ...{ channel: 'quotes', symbol, receivedAt: 0 },
  json: JSON.stringify({ symbol, price }),
});

/** Takes frames while it is told to. */
class Reader implements MarketReader {
  readonly frames: unknown[] = [];
  isFull = false;
  asked = 0;

  takeFrame(frame: Buffer): boolean {
    this.asked += 1;
    if (!this.isFull) this.frames.push(JSON.parse(frame.toString()));
    return !this.isFull;
  }

  hasRoom(): boolean {
    return !this.isFull;
  }
}

const TICK_MS = 5;
let clock: ManualClock;
let fanOut: MarketFanOut;
let publish: (...records: readonly FeedRecord[]) => void;
let conflated = 0;

beforeEach(() => {
  clock = new ManualClock();
  conflated = 0;
  const feed = {
    onRecords: (hear: (records: readonly FeedRecord[]) => void) => {
      publish = (...records) => hear(records);
      return () => undefined;
    },
  } as unknown as MarketDataFeed;
  const onConflated = (records: number): number => (conflated += records);
  fanOut = new MarketFanOut(feed, clock, { flushIntervalMs: TICK_MS, onConflated });
});

function aReader(...symbols: readonly string[]): Reader {
  const reader = new Reader();
  fanOut.setTopics(reader, new Set(symbols.map((symbol) => `quotes ${symbol}`)));
  return reader;
}

test('a reader set aside is not asked again by any flush, and the others keep their tick', async () => {
  const [slow, quick] = [aReader('A', 'B'), aReader('A', 'B')];
  slow.isFull = true;
  for (let n = 1; n <= 30; n += 1) {
    publish(quote('A', n));
    await clock.advance(TICK_MS);
    expect(quick.frames).toHaveLength(n);
  }

  expect(slow.asked).toBe(1);
});

test('it gets the newest of what it missed once it has room, and then all again', async () => {
  const slow = aReader('A', 'B');
  publish(quote('B', 1));
  await clock.advance(TICK_MS);
  slow.isFull = true;
  for (let n = 1; n <= 9; n += 1) {
    publish(quote('A', n));
    await clock.advance(TICK_MS);
  }
  slow.isFull = false;
  await clock.advance(50);
  publish(quote('A', 10));
  await clock.advance(TICK_MS);

  expect(slow.frames).toEqual([
    { symbol: 'B', price: 1 },
    { symbol: 'A', price: 9 },
    { symbol: 'A', price: 10 },
  ]);
  expect(conflated).toBe(8);
});

test('readers set aside at different times are each owed what they missed', async () => {
  const [first, second] = [aReader('A', 'B'), aReader('A', 'B')];
  first.isFull = true;
  publish(quote('A', 1));
  await clock.advance(TICK_MS);
  publish(quote('B', 1));
  await clock.advance(TICK_MS);
  second.isFull = true;
  publish(quote('A', 2));
  await clock.advance(TICK_MS);
  first.isFull = second.isFull = false;
  await clock.advance(50);

  expect(first.frames).toEqual([
    [
      { symbol: 'A', price: 2 },
      { symbol: 'B', price: 1 },
    ],
  ]);
  expect(second.frames).toEqual([
    { symbol: 'A', price: 1 },
    { symbol: 'B', price: 1 },
    { symbol: 'A', price: 2 },
  ]);
});

test('a reader set aside that changes its subscriptions is still owed those that it keeps', async () => {
  const slow = aReader('A', 'B');
  slow.isFull = true;
  publish(quote('A', 1), quote('B', 1));
  await clock.advance(TICK_MS);
  fanOut.setTopics(slow, new Set(['quotes A', 'quotes C']));
  publish(quote('C', 1), quote('B', 2));
  await clock.advance(TICK_MS);
  slow.isFull = false;
  await clock.advance(50);

  expect(slow.frames).toEqual([
    [
      { symbol: 'A', price: 1 },
      { symbol: 'C', price: 1 },
    ],
  ]);
});

class Socket {
  readonly sent: string[] = [];
  readonly pings: string[] = [];
  bufferedAmount = 0;
  send(frame: string | Buffer): void {
    this.sent.push(frame.toString());
  }
  ping(payload: string): void {
    this.pings.push(payload);
  }
}

function anOutbox(socket: Socket): Outbox {
  const options = { flushIntervalMs: TICK_MS, bufferedBytesMax: 400, backlogMax: 10, onOverflow: () => undefined };
  return new Outbox(socket, options, clock);
}

const FRAME = Buffer.alloc(100, 'x');

test('what was sent and not read counts as buffered, wherever it lies', () => {
  const socket = new Socket();
  const outbox = anOutbox(socket);
  let taken = 0;
  while (taken < 50 && outbox.takeFrame(FRAME)) taken += 1;

  expect(taken).toBe(17);
  expect(socket.pings).toEqual(['1']);
  expect(outbox.pong('7')).toBeUndefined();
  expect(outbox.takeFrame(FRAME)).toBe(false);
  expect(outbox.pong('1')).toBe(0);
  expect(outbox.takeFrame(FRAME)).toBe(true);
});

test('a reader whose answer is late gets no market data, but order events still', async () => {
  const socket = new Socket();
  const outbox = anOutbox(socket);
  outbox.ping();
  await clock.advance(1_001);

  expect(outbox.takeFrame(FRAME)).toBe(false);
  outbox.add('{"type":"order"}');
  await clock.advance(TICK_MS);
  expect(socket.sent).toEqual(['{"type":"order"}']);
  outbox.pong('1');
  expect(outbox.takeFrame(FRAME)).toBe(true);
});
