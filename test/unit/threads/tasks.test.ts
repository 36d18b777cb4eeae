import { expect, test } from '@jest/globals';
import { GatewayError } from '../../../src/kernel/domain/errors.js';
import { encodeRecord } from '../../../src/kernel/shared-memory/quote-table.js';
import { parseOccSymbol } from '../../../src/threads/occ-symbol.js';
import { runTask } from '../../../src/threads/run-task.js';
import {
  packRecords,
  unpackRecords,
  type BodyResult,
  type Page,
  type Task,
  type TaskResult,
} from '../../../src/threads/tasks.js';
import { InlineBatch, PooledBatch } from '../../../src/workers/market-data/batch.js';
import { rangesAfter, rangesFromCounts } from '../../../src/workers/market-data/chain-plan.js';
import { countBars, peekLastExpiration, peekPageToken } from '../../../src/workers/market-data/page-peek.js';

const ORIGIN = { source: 'rest', feed: 'indicative' };

function page(value: unknown): Page {
  return [new TextEncoder().encode(JSON.stringify(value))];
}

function run(task: Task): TaskResult {
  return runTask(task, () => {
    throw new TypeError('needs no table');
  });
}

function parsed(task: Task): Record<string, unknown> {
  return JSON.parse(Buffer.from((run(task) as BodyResult).body).toString()) as Record<string, unknown>;
}

test.each([
  ['AAPL250620C00100000', { root: 'AAPL', expirationDate: '2025-06-20', type: 'call', strikePrice: '100' }],
  ['AAPL1250620P00152500', { root: 'AAPL1', expirationDate: '2025-06-20', type: 'put', strikePrice: '152.5' }],
  ['F260116C00000125', { root: 'F', expirationDate: '2026-01-16', type: 'call', strikePrice: '0.125' }],
  ['AAPL', undefined],
])('%s is taken apart from the right', (symbol, expected) => {
  expect(parseOccSymbol(symbol)).toEqual(expected);
});

test('a chain keeps each contract once, in order, with greeks only where the broker sent them', () => {
  const snapshot = (bid: number) => ({ latestQuote: { bp: bid, ap: 2, bs: 1, as: 1, t: '2026-01-05T15:00:00Z' } });
  const chain: Task = {
    kind: 'chain',
    underlying: 'F',
    grouped: false,
    origin: ORIGIN,
    pages: [
      page({ snapshots: { F260220C00012000: snapshot(3), F260116P00011000: snapshot(2) }, next_page_token: 'x' }),
      page({
        snapshots: {
          F260116C00011000: { ...snapshot(1), greeks: { delta: 0.5 }, impliedVolatility: 0.3, latestTrade: { p: 9 } },
          F260220C00012000: snapshot(4),
        },
        next_page_token: null,
      }),
    ],
  };

  const body = parsed(chain);

  expect(body).toMatchObject({
    underlying_symbol: 'F',
    count: 3,
    contracts: [
      { symbol: 'F260116C00011000', greeks: { delta: 0.5 }, implied_volatility: 0.3, last_price: 9, strike_price: 11 },
      { symbol: 'F260116P00011000', type: 'put', last_price: null },
      { symbol: 'F260220C00012000', expiration_date: '2026-02-20', bid_price: 4 },
    ],
  });
  expect((body['contracts'] as object[])[1]).not.toHaveProperty('greeks');
  expect((run(chain) as BodyResult).expirations).toEqual({ '2026-01-16': 2, '2026-02-20': 1 });
});

test('trade ids beyond 2^53 survive a page', () => {
  const text =
    '{"trades":{"AAPL":{"t":"2026-01-05T15:00:00Z","p":1,"s":2,"i":18446744073709551615,"x":"V","c":["@"],"z":"C"}}}';
  const result = run({
    kind: 'latest',
    recordKind: 'trade',
    page: new TextEncoder().encode(text),
    origin: ORIGIN,
    receivedAt: 5,
  });

  if (result.kind !== 'records') throw new TypeError('wrong result');
  const [record] = unpackRecords(result.packed);
  expect(record?.value.toString()).toContain('"trade_id":"18446744073709551615"');
});

test('records packed into one buffer come out as they went in', () => {
  const records = ['AAPL', 'BRK.B', 'MSFT'].map((symbol, index) => ({
    recordKind: 'quote' as const,
    symbol,
    value: encodeRecord(index, `{"symbol":"${symbol}é"`),
  }));

  expect([...unpackRecords(packRecords(records))].map(({ symbol, value }) => [symbol, value.toString('hex')])).toEqual(
    records.map(({ symbol, value }) => [symbol, value.toString('hex')]),
  );
});

test('paging reads a page without parsing it', () => {
  const bars = page({
    bars: {
      A: [
        { t: '1', o: 1 },
        { t: '2', o: 1 },
      ],
    },
    next_page_token: 'abc=',
  });
  const chain = page({ next_page_token: null, snapshots: { F260116C00011000: {}, F270115P00011000: {} } });

  expect([peekPageToken(bars), countBars(bars)]).toEqual(['abc=', 2]);
  expect([peekPageToken(chain), peekLastExpiration(chain)]).toEqual([undefined, '2027-01-15']);
});

test('a page that came in pieces reads as if it had come whole, wherever it was cut', () => {
  // Longer than the tail that is looked at first.
  const bars = Array.from({ length: 400 }, (_, n) => ({ t: String(n), o: n }));
  for (const value of [
    { bars: { A: bars }, next_page_token: 'abc=' },
    { next_page_token: 'abc=', bars: { A: bars } },
  ]) {
    const [bytes = new Uint8Array()] = page(value);
    for (let cut = 0; cut < bytes.length; cut += 37) {
      const pieces = [bytes.slice(0, cut), bytes.slice(cut, cut + 5), bytes.slice(cut + 5)];
      expect([peekPageToken(pieces), countBars(pieces)]).toEqual(['abc=', 400]);
    }
  }
});

test('the ranges of a chain cover every day asked for exactly once, whatever the counts say', () => {
  const counts = { '2026-01-16': 700, '2026-01-23': 700, '2026-02-20': 100, '2027-01-15': 5_000 };
  const plans = [
    rangesFromCounts({}, counts),
    rangesFromCounts({ from: '2026-01-20', to: '2026-12-31' }, counts),
    rangesAfter({}, '2026-01-30'),
    rangesFromCounts({}, {}),
  ];

  for (const ranges of plans) {
    for (const [index, range] of ranges.entries()) {
      const before = ranges[index - 1];
      if (before === undefined) continue;
      const dayAfter = new Date(Date.parse(before.to ?? '') + 86_400_000).toISOString().slice(0, 10);
      expect(range.from).toBe(dayAfter);
    }
  }
  expect(plans.map((ranges) => [ranges.at(0)?.from, ranges.at(-1)?.to])).toEqual([
    [undefined, undefined],
    ['2026-01-20', '2026-12-31'],
    ['2026-01-30', undefined],
    [undefined, undefined],
  ]);
});

const TASK: Task = { kind: 'bars', symbol: 'A', timeframe: '1Min', pages: [], origin: ORIGIN };

test('a task whose client has left is not begun', async () => {
  const gone = AbortSignal.abort();

  await expect(new InlineBatch(run).run(TASK, { light: true, signal: gone })).rejects.toMatchObject({
    code: 'CALL_CANCELED',
  });
});

test('a full queue refuses at once, and one that leaves the queue makes room', async () => {
  // A thread that never becomes ready keeps its turn, so that everything behind it waits.
  const pool = new PooledBatch(
    { threads: 1, queueMax: 1, entry: new URL('../../support/idle-thread.mjs', import.meta.url).pathname },
    run,
  );
  const running = pool.run(TASK, { light: false }).catch((cause: unknown) => cause);
  const leaving = new AbortController();
  const waiting = pool.run(TASK, { light: false, signal: leaving.signal });

  await expect(pool.run(TASK, { light: false })).rejects.toMatchObject({ code: 'QUEUE_FULL' });
  leaving.abort();
  await expect(waiting).rejects.toBeInstanceOf(GatewayError);
  const next = pool.run(TASK, { light: false }).catch((cause: unknown) => cause);
  await pool.close();

  expect(await running).toBeInstanceOf(Error);
  expect(await next).toBeInstanceOf(Error);
});
