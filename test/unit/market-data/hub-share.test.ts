import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentMeter } from '../../../src/kernel/runtime/meter.js';
import { recordKey, QuoteTable } from '../../../src/kernel/shared-memory/quote-table.js';
import { TableWriter } from '../../../src/kernel/shared-memory/table-writer.js';
import { HubShare } from '../../../src/workers/market-data/hub-share.js';
import type { LiveSymbols } from '../../../src/workers/market-data/hub-protocol.js';
import { decodeHubWord, encodeWord } from '../../../src/workers/market-data/quote-bus.js';
import { SubscriptionBook } from '../../../src/workers/market-data/subscription-book.js';
import { ManualClock } from '../../support/manual-clock.js';
import { MemoryBusServer } from '../../support/memory-quote-bus.js';

const directory = mkdtempSync(join(tmpdir(), 'hub-share-'));
const clock = new ManualClock();
const table = QuoteTable.open(directory, 8);
const writer = new TableWriter(table, { entriesMax: 100, onFailure: () => undefined });
let bus = new MemoryBusServer();
let book = new SubscriptionBook({ stock: 10, option: 10 });
let live: LiveSymbols = {};
let share: HubShare;

beforeEach(() => {
  bus = new MemoryBusServer();
  book = new SubscriptionBook({ stock: 10, option: 10 });
  live = {};
  share = new HubShare({
    ...{ bus: bus.connect(), self: 'alpha', hubId: 'hub', book, table, writer, clock, meter: silentMeter },
    feeds: { stock: 'iex', option: 'indicative' },
    live: () => live,
    gap: () => ({}),
    budgets: () => ({}),
    wantsChanged: () => undefined,
  });
});

afterEach(() => {
  share.close();
});

afterAll(async () => {
  await writer.close();
  await table.close();
  rmSync(directory, { recursive: true, force: true });
});

/** Delivered when this resolves. */
async function follower(from: string, symbols: readonly string[], session = 'one'): Promise<void> {
  bus.say('hub', encodeWord({ from, session, serial: 1, wanted: { quotes: symbols }, read: [], reads: {} }));
  await Promise.resolve();
}

/** What was said to followers since the last time. */
function said(): readonly string[] {
  return bus.sent.followers.splice(0).map((message) => {
    const heard = decodeHubWord(message);
    return `${heard?.word.op ?? 'unreadable'} ${heard?.records.map(({ symbol }) => symbol).join() ?? ''}`.trim();
  });
}

const quote = (symbol: string, bid: number): string =>
  `{"type":"quote","symbol":"${symbol}","bid_price":${String(bid)}`;
const record = (symbol: string, bid: number) => ({
  channel: 'quotes' as const,
  symbol,
  receivedAt: 1,
  json: `${quote(symbol, bid)}}`,
});

test('the wants of an instance that has gone silent leave the book, and those of the others stay', async () => {
  await follower('beta', ['AAPL', 'MSFT']);
  await follower('gamma', ['MSFT']);
  await clock.advance(9_000);
  await follower('gamma', ['MSFT']);
  await clock.advance(2_000);

  share.beat();

  expect([...book.symbols('quotes')]).toEqual(['MSFT']);
});

test('a value is sent before it is called live, the newest also when no reader of the table can see it yet', async () => {
  await follower('beta', ['AAPL']);
  said();
  writer.put(recordKey('quote', 'iex', 'AAPL'), 7, quote('AAPL', 42));
  live = { quotes: ['AAPL', 'SPY'] };

  share.tell();

  expect(Buffer.from(bus.sent.followers[0] ?? '').toString('utf8')).toContain('"bid_price":42');
  expect(said()).toEqual(['snapshot AAPL', 'state']);
  share.tell();
  expect(said()).toEqual(['state']);
});

test('only what somebody elsewhere wants crosses, quotes as their newest', async () => {
  await follower('beta', ['AAPL']);
  said();

  for (const one of [record('AAPL', 1), record('SPY', 2), record('AAPL', 3)]) share.publish(one);
  await clock.advance(5);

  expect(Buffer.from(bus.sent.followers[0] ?? '').toString('utf8')).toContain('"bid_price":3');
  expect(said()).toEqual(['records AAPL']);
});

test('a new session is sent everything again before it is answered', async () => {
  writer.put(recordKey('quote', 'iex', 'AAPL'), 7, quote('AAPL', 42));
  live = { quotes: ['AAPL'] };
  await follower('beta', ['AAPL']);
  said();

  await follower('beta', ['AAPL']);
  const same = said();
  await follower('beta', ['AAPL'], 'two');

  expect([same, said()]).toEqual([
    ['state', 'wanted'],
    ['snapshot AAPL', 'state', 'wanted'],
  ]);
});

test('what the bus does not take is kept and conflated, and nothing newer is called live before it', async () => {
  await follower('beta', ['AAPL']);
  live = { quotes: ['AAPL'] };
  said();
  bus.isDown = true;
  share.publish(record('AAPL', 1));
  await clock.advance(5);
  share.publish(record('AAPL', 2));
  share.tell();
  expect(said()).toEqual([]);

  bus.isDown = false;
  await clock.advance(5);

  expect(Buffer.from(bus.sent.followers[0] ?? '').toString('utf8')).toContain('"bid_price":2');
  expect(said()).toEqual(['records AAPL']);
});
