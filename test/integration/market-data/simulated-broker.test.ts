import { afterEach, expect, test } from '@jest/globals';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import type { Simulator, SimulatorOptions } from '../../../src/simulator/simulator.js';
import type { MarketData } from '../../../src/workers/market-data/market-data.js';
import { SimulatedPools } from '../../support/upstream-pools.js';
import { eventually } from '../../support/eventually.js';
import { bodyOf, CONTEXT, MarketWorkers, type MarketWorkersOptions } from '../../support/market-workers.js';
import { aSimulator } from '../../support/simulator.js';

const SYMBOLS = Array.from({ length: 20 }, (_, index) => `SIM${String.fromCharCode(65 + index)}`);
const THREADS_ENTRY = new URL('../../../dist/threads/main.js', import.meta.url).pathname;

let simulator: Simulator;
let pools: SimulatedPools;
let workers: MarketWorkers;
let reader: MarketData;

afterEach(async () => {
  await workers.close();
  await pools.close();
  await simulator.close();
});

async function start(options: SimulatorOptions = {}, workerOptions: MarketWorkersOptions = {}): Promise<void> {
  simulator = await aSimulator({ symbols: SYMBOLS, ...options });
  workers = new MarketWorkers(workerOptions);
  workers.start(0);
  reader = workers.start(1);
  const [account] = simulator.accounts;
  if (account === undefined) throw new TypeError('no account');
  pools = new SimulatedPools(simulator, new SystemClock());
  workers.makeHub(0, pools.accounts([account]));
}

function asked(path: string): number {
  return simulator.control.ledger({ path }).entries.length;
}

test('a hundred identical cold requests are exactly one in the ledger of the broker', async () => {
  await start();

  const answers = await Promise.all(
    Array.from({ length: 100 }, () => reader.door.execute({ kind: 'stock-quote', symbol: 'SIMA' }, CONTEXT)),
  );

  expect(answers.map((answer) => bodyOf(answer)['symbol'])).toEqual(Array(100).fill('SIMA'));
  expect(asked('/v2/stocks/quotes/latest')).toBe(1);
});

test.each([
  ['5Min', 'asc'],
  ['5Min', 'desc'],
  ['15Min', 'asc'],
  ['1Hour', 'asc'],
  ['1Hour', 'desc'],
  ['1Day', 'desc'],
] as const)('%s bars (%s) equal the broker’s own aggregation over page borders', async (timeframe, sort) => {
  await start({ clock: 'manual' });
  const startAt = Date.UTC(2025, 10, 3);
  const endAt = Date.UTC(2025, 11, 20);
  const expected = [...simulator.market.bars('SIMB', timeframe, startAt, endAt)];
  if (sort === 'desc') expected.reverse();
  // A first page of 7 and a second of the rest: the border must not lose or double a bar.
  const query = {
    timeframe,
    sort,
    start: new Date(startAt).toISOString(),
    end: new Date(endAt).toISOString(),
  };

  const head = bodyOf(
    await reader.door.execute({ kind: 'stock-bars', symbol: 'SIMB', query: { ...query, limit: 7 } }, CONTEXT),
  );
  const pageToken = head['next_page_token'];
  if (typeof pageToken !== 'string') throw new TypeError('one page only');
  const tail = bodyOf(
    await reader.door.execute(
      { kind: 'stock-bars', symbol: 'SIMB', query: { ...query, limit: 20_000, pageToken } },
      CONTEXT,
    ),
  );

  const bars = [...(head['bars'] as Bar[]), ...(tail['bars'] as Bar[])];
  expect(tail['next_page_token']).toBeNull();
  expect(bars.map((bar) => [Date.parse(bar.timestamp), bar.open, bar.close, bar.volume])).toEqual(
    expected.map((bar) => [bar.at, bar.o, bar.c, bar.v]),
  );
});

interface Bar {
  readonly timestamp: string;
  readonly open: number;
  readonly close: number;
  readonly volume: number;
}

test('a malformed symbol in a batch of 500 costs only its own entry', async () => {
  await start({ symbols: 500 });
  const known = simulator.market.assets().slice(0, 499);
  const symbols = known.map(({ symbol }) => symbol);
  symbols.splice(250, 0, 'BAD!');

  const body = bodyOf(await reader.door.execute({ kind: 'stock-quotes', symbols }, CONTEXT));

  const entries = body['quotes'] as { readonly symbol: string; readonly error?: { readonly code: string } }[];
  expect(entries.map(({ symbol }) => symbol)).toEqual(symbols);
  expect(entries.filter(({ error }) => error !== undefined)).toMatchObject([{ symbol: 'BAD!' }]);
});

test('a whole chain comes with every contract once, in order, whatever it takes to read it in parallel', async () => {
  await start({ optionUnderlyings: [{ underlying: 'SIMA', contracts: 3_000, expirations: 25 }] });
  const all = simulator.market.contracts({ underlyings: ['SIMA'] }).map(({ symbol }) => symbol);
  const chain = () =>
    reader.door.execute({ kind: 'option-chain', underlying: 'SIMA', query: { grouped: false, gzip: false } }, CONTEXT);

  const cold = bodyOf(await chain());

  const contracts = cold['contracts'] as { readonly symbol: string; readonly strike_price: number }[];
  expect(contracts.map(({ symbol }) => symbol)).toEqual([...all].sort());
  expect(cold['count']).toBe(all.length);
  expect(contracts[0]).toMatchObject({ bid_price: expect.any(Number), expiration_date: expect.any(String) });
});

test('filters and grouping of a chain are honoured, and gzip when the client takes it', async () => {
  await start({ optionUnderlyings: [{ underlying: 'SIMA', contracts: 400, expirations: 5 }] });

  const puts = await reader.door.execute(
    { kind: 'option-chain', underlying: 'SIMA', query: { grouped: true, gzip: true, type: 'put' } },
    CONTEXT,
  );

  if (puts.kind !== 'answer') throw new TypeError('refused');
  expect(puts.headers['content-encoding']).toBe('gzip');
  const { gunzipSync } = await import('node:zlib');
  const body = JSON.parse(gunzipSync(puts.body).toString()) as {
    readonly expirations: { readonly calls: unknown[]; readonly puts: { readonly type: string }[] }[];
    readonly count: number;
  };
  expect(body.expirations.flatMap(({ calls }) => calls)).toEqual([]);
  expect(body.expirations.flatMap(({ puts: list }) => list)).toHaveLength(body.count);
  expect(body.count).toBe(simulator.market.contracts({ underlyings: ['SIMA'], type: 'put' }).length);
});

test('after each of four cut sockets every subscription is back, and the table is right at the end', async () => {
  await start({ ticksPerSecond: 400 }, { settings: { quoteMaxAgeMs: -1 } });
  await reader.feed.subscribe('quotes', SYMBOLS);
  const allLive = () => SYMBOLS.every((symbol) => reader.door.quoteNow(symbol) !== undefined);
  await eventually('live', allLive);

  for (let cut = 0; cut < 4; cut += 1) {
    simulator.control.dropStreams(undefined, cut % 2 === 0);
    await eventually('noticed', () => !allLive());
    await eventually('live again', allLive);
  }

  simulator.market.ticker.setRate(0);
  simulator.market.setPrice('SIMC', 77);
  await eventually('the last price arrives', () => quoted('SIMC')[0] === simulator.market.quote('SIMC')?.bid);
  for (const symbol of SYMBOLS) {
    const truth = simulator.market.quote(symbol);
    expect([symbol, ...quoted(symbol)]).toEqual([symbol, truth?.bid, truth?.ask]);
  }
});

function quoted(symbol: string): readonly unknown[] {
  const body = bodyOf(reader.door.quoteNow(symbol));
  return [body['bid_price'], body['ask_price']];
}

test('a feed that falls silent is noticed and replaced once it speaks again', async () => {
  await start({ ticksPerSecond: 200 }, { settings: { quoteMaxAgeMs: -1, muteTimeoutMs: 200 } });
  await reader.feed.subscribe('quotes', ['SIMA']);
  await eventually('live', () => reader.door.quoteNow('SIMA') !== undefined);

  simulator.control.setMarketFaults({ mutedFeeds: ['v2/iex'] });
  await eventually('noticed', () => reader.door.quoteNow('SIMA') === undefined);

  simulator.control.setMarketFaults({ mutedFeeds: [] });
  await eventually('live again', () => reader.door.quoteNow('SIMA') !== undefined, 20_000);
}, 40_000);

test('a master key refused mid-run is replaced by the stand-in, stream included, and comes back', async () => {
  await start({ ticksPerSecond: 200 }, { settings: { quoteMaxAgeMs: -1 } });
  const sources = new Set<unknown>();
  reader.feed.onRecords((records) => {
    for (const { json } of records) sources.add((JSON.parse(json) as Record<string, unknown>)['source']);
  });
  await reader.feed.subscribe('quotes', ['SIMA']);
  await eventually('the master streams', () => sources.has('stream'));

  simulator.control.setMarketFaults({ refusedKeys: [simulator.master.apiKey] });
  simulator.control.dropStreams(undefined, true);
  await eventually('the stand-in streams', () => sources.has('stream:account_001'), 5_000);
  const meanwhile = await reader.door.execute({ kind: 'stock-quote', symbol: 'SIMB' }, CONTEXT);
  expect(bodyOf(meanwhile)['source']).toBe('rest:account_001');

  simulator.control.setMarketFaults({ refusedKeys: [] });
  sources.clear();
  await eventually('the master streams again', () => sources.has('stream'), 15_000);
}, 40_000);

test('threads give the same answers as inline work, and the bytes are moved', async () => {
  await start(
    { symbols: 300, optionUnderlyings: [{ underlying: 'SPY', contracts: 1_500, expirations: 10 }] },
    { settings: { threads: 2, quoteMaxAgeMs: 60_000 }, threadsEntry: THREADS_ENTRY },
  );
  const symbols = simulator.market.assets().map(({ symbol }) => symbol);

  const batch = bodyOf(await reader.door.execute({ kind: 'stock-quotes', symbols }, CONTEXT));
  const again = bodyOf(await reader.door.execute({ kind: 'stock-quotes', symbols }, CONTEXT));

  expect(batch['count']).toBe(symbols.length);
  expect((again['quotes'] as { symbol: string }[]).map(({ symbol }) => symbol)).toEqual(symbols);
});
