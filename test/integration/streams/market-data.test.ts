import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { aQuote, aStreamEdge, type StreamUnderTest } from '../../support/stream-doors.js';

let stream: StreamUnderTest;

beforeEach(async () => {
  stream = await aStreamEdge();
});
afterEach(() => stream.close());

test('data channels need market_data and order channels read', async () => {
  const client = await stream.connect('a|read|*');
  client.say({ action: 'subscribe', quotes: ['AAPL'] });
  expect(await client.next('error')).toMatchObject({ code: 'permission-missing', permission: 'market_data' });

  const other = await stream.connect('b|market_data|*');
  other.say({ action: 'subscribe', orders: ['account_001'] });
  expect(await other.next('error')).toMatchObject({ code: 'permission-missing', permission: 'read' });
});

test('a new subscriber gets the last known value, marked, then updates', async () => {
  stream.feed.publish(aQuote('AAPL', 1));
  const client = await stream.connect('a|market_data');
  client.say({ action: 'subscribe', quotes: ['AAPL', 'aapl', 'MSFT'] });

  expect((await client.next('subscription'))['quotes']).toEqual(['AAPL', 'MSFT']);
  expect(await client.next('quote')).toMatchObject({ symbol: 'AAPL', bid_price: 1, snapshot: true });
  stream.feed.publish(aQuote('AAPL', 2), aQuote('IBM', 3), aQuote('MSFT', 4));
  expect(await client.next('quote')).toEqual({ type: 'quote', symbol: 'AAPL', bid_price: 2 });
  expect(await client.next('quote')).toEqual({ type: 'quote', symbol: 'MSFT', bid_price: 4 });
});

test('upstream is asked once for all sockets and let go with the last', async () => {
  const [a, b] = [await stream.connect('a|market_data'), await stream.connect('b|market_data')];
  for (const client of [a, b]) {
    client.say({ action: 'subscribe', quotes: ['AAPL'], option_quotes: ['AAPL250620C00100000'] });
    await client.next('subscription');
  }
  expect([...stream.feed.wanted]).toEqual([
    ['quotes AAPL', 1],
    ['option_quotes AAPL250620C00100000', 1],
  ]);

  a.say({ action: 'unsubscribe', quotes: ['AAPL'] });
  expect((await a.next('subscription'))['quotes']).toEqual([]);
  expect(stream.feed.wanted.get('quotes AAPL')).toBe(1);
  b.close();
  await eventually(() => !stream.feed.wanted.has('quotes AAPL'));
  expect([...stream.feed.wanted.keys()]).toEqual(['option_quotes AAPL250620C00100000']);
});

test('symbols that upstream refuses are named, and the rest is subscribed', async () => {
  stream.feed.refuse.add('MSFT');
  const client = await stream.connect('a|market_data');
  client.say({ action: 'subscribe', quotes: ['AAPL', 'MSFT'] });

  expect((await client.next('subscription'))['quotes']).toEqual(['AAPL']);
  expect(await client.next('error')).toMatchObject({ code: 'symbol-refused', symbols: ['MSFT'] });
});

test('a socket over its limit keeps what it had', async () => {
  const client = await stream.connect('a|market_data');
  client.say({ action: 'subscribe', quotes: ['AAPL'] });
  await client.next('subscription');
  client.say({ action: 'subscribe', quotes: Array.from({ length: 100 }, (_, n) => `S${n}`) });

  expect((await client.next('error'))['code']).toBe('subscription-limit');
  expect([...stream.feed.wanted.keys()]).toEqual(['quotes AAPL']);
});

test('a reader that stops gets the newest of each symbol when it reads again, and the others get everything', async () => {
  await stream.close();
  stream = await aStreamEdge({ pingIntervalMs: 60_000 });
  const [slow, quick] = [await stream.connect('a|market_data'), await stream.connect('b|market_data')];
  for (const client of [slow, quick]) {
    client.say({ action: 'subscribe', quotes: ['AAPL', 'MSFT'] });
    await client.next('subscription');
  }
  slow.socket.pause();
  const rounds = 1_000;
  for (let n = 1; n <= rounds; n += 1) {
    stream.feed.publish(aQuote('AAPL', n, 'x'.repeat(2_000)), aQuote('MSFT', n, 'x'.repeat(2_000)));
    // It reads as fast as this process lets it; what is published must not outrun that.
    if (n % 20 === 0) await eventually(() => quick.records.length === n * 2 + 1);
  }
  slow.socket.resume();

  const newest = (symbol: string) => slow.records.filter((record) => record['symbol'] === symbol).at(-1)?.['bid_price'];
  await eventually(() => newest('AAPL') === rounds && newest('MSFT') === rounds);
  expect(slow.records.length).toBeLessThan(rounds * 2);
}, 30_000);

async function eventually(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1_000 && !holds(); turn += 1) await new Promise((resolve) => setTimeout(resolve, 10));
  expect(holds()).toBe(true);
}
