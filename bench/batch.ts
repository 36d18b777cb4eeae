/**
 * Batches and chains of one worker: `npm run bench -- batch [seconds] [threads]`, 10 s and 2 threads by default. The
 * broker is the simulator in a process of its own (build first). Measured with threads and with none: a warm batch of
 * 1,000 quotes, chains of 3,000 and 13,000 contracts, and what a single quote and the event loop suffer while both run
 * without pause. The yardstick is JSON.parse and JSON.stringify of the same pages on the main thread.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { silentLog } from '../src/kernel/runtime/log.js';
import { silentMeter } from '../src/kernel/runtime/meter.js';
import { SystemClock } from '../src/kernel/runtime/system-clock.js';
import { startSimulator, type Simulator } from '../src/simulator/simulator.js';
import { runTask } from '../src/threads/run-task.js';
import { createBatch } from '../src/workers/market-data/batch.js';
import { MarketData } from '../src/workers/market-data/market-data.js';
import type { MarketDataAnswer } from '../src/workers/market-data/market-data-door.js';
import { MemoryNetwork } from '../test/support/memory-mesh.js';
import { SimulatedPools } from '../test/support/upstream-pools.js';

export const isBenchmark = true;

const CONTEXT = { requestId: 'bench', subject: 'bench', budgetMs: 60_000 };
const ENTRY = join(process.cwd(), 'dist/threads/main.js');
const WARM_RUNS = 300;

const seconds = Number(process.argv[2] ?? 10);
const threads = Number(process.argv[3] ?? 2);

const simulator = await startSimulator({
  symbols: 1_000,
  optionUnderlyings: [
    { underlying: 'AAPL', contracts: 3_000, expirations: 25 },
    { underlying: 'SPY', contracts: 13_000, expirations: 34 },
  ],
  requestsPerMinute: 1_000_000,
  dataRequestsPerMinute: 1_000_000,
});
try {
  console.log(
    `method: 1,000 symbols; ${String(WARM_RUNS)} warm batches; ${String(seconds)} s of load; the simulator shares this process while a chain is cold`,
  );
  for (const count of [threads, 0]) await measure(simulator, count);
} finally {
  await simulator.close();
}

async function measure(broker: Simulator, threadCount: number): Promise<void> {
  console.log(`\n== ${threadCount === 0 ? 'threads off' : `${String(threadCount)} threads`}`);
  const directory = mkdtempSync(join(tmpdir(), 'opitios-bench-batch-'));
  const clock = new SystemClock();
  const pools = new SimulatedPools(broker, clock);
  const marketData = new MarketData({
    settings: {
      feed: 'iex',
      optionFeed: 'indicative',
      requestTimeoutMs: 30_000,
      rateLimitPerMinute: 1_000_000,
      dataRateLimitPerMinute: 1_000_000,
      subscribeLimit: 30,
      optionSubscribeLimit: 200,
      muteTimeoutMs: 60_000,
      tableSizeMb: 64,
      quoteMaxAgeMs: 3_600_000,
      threads: threadCount,
    },
    tableDirectory: directory,
    mesh: new MemoryNetwork().join(0),
    clock,
    log: silentLog,
    meter: silentMeter,
    jitter: () => 0.5,
    hubSlot: () => 0,
    threadsEntry: ENTRY,
    runTask,
  });
  marketData.start();
  marketData.becomeHub(pools.accounts([]));
  try {
    const symbols = broker.market
      .assets()
      .map(({ symbol }) => symbol)
      .slice(0, 1_000);
    await warmBatches(marketData, symbols);
    for (const underlying of ['AAPL', 'SPY']) await chain(marketData, underlying);
    await underLoad(marketData, symbols, await pagesOf(broker, 'SPY'), threadCount);
  } finally {
    await marketData.close();
    await pools.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

async function warmBatches(marketData: MarketData, symbols: readonly string[]): Promise<void> {
  const ask = (): Promise<MarketDataAnswer> => marketData.door.execute({ kind: 'stock-quotes', symbols }, CONTEXT);
  const bytes = size(await ask());
  const times: number[] = [];
  for (let run = 0; run < WARM_RUNS; run += 1) {
    const startedAt = performance.now();
    await ask();
    times.push(performance.now() - startedAt);
  }
  console.log(`batch of ${String(symbols.length)} quotes, warm: ${spread(times)}, ${String(bytes)} bytes`);
}

async function chain(marketData: MarketData, underlying: string): Promise<void> {
  for (const gzip of [false, true]) {
    const startedAt = performance.now();
    const answer = await marketData.door.execute(
      { kind: 'option-chain', underlying, query: { grouped: false, gzip } },
      CONTEXT,
    );
    const took = performance.now() - startedAt;
    console.log(
      `chain ${underlying} ${gzip ? 'gzip, from the cache' : 'cold'}: ${took.toFixed(1)} ms, ${String(size(answer))} bytes`,
    );
  }
}

/** The broker's own pages, so that the load below does not measure the simulator. */
async function pagesOf(broker: Simulator, underlying: string): Promise<readonly Uint8Array[]> {
  const pages: Uint8Array[] = [];
  let token: string | null = null;
  do {
    const path: string = `/v1beta1/options/snapshots/${underlying}?limit=1000${token === null ? '' : `&page_token=${token}`}`;
    const headers = { 'APCA-API-KEY-ID': broker.master.apiKey, 'APCA-API-SECRET-KEY': broker.master.secretKey };
    const answer = await fetch(broker.endpoints.data + path, { headers });
    const page = new Uint8Array(await answer.arrayBuffer());
    pages.push(page);
    token = (JSON.parse(Buffer.from(page).toString()) as { next_page_token: string | null }).next_page_token;
  } while (token !== null);
  return pages;
}

async function underLoad(
  marketData: MarketData,
  symbols: readonly string[],
  pages: readonly Uint8Array[],
  threadCount: number,
): Promise<void> {
  const startedAt = performance.now();
  for (const page of pages) JSON.stringify(JSON.parse(Buffer.from(page).toString()));
  const yardstickMs = performance.now() - startedAt;

  const batch = createBatch({ threads: threadCount, entry: ENTRY, queueMax: 64 }, (task) =>
    runTask(task, () => {
      throw new TypeError('a chain needs no table');
    }),
  );
  let isOver = false;
  const chainTimes: number[] = [];
  const batchTimes: number[] = [];
  const quoteTimes: number[] = [];
  const loop = async (times: number[], work: () => Promise<unknown>): Promise<void> => {
    while (!isOver) {
      const begun = performance.now();
      await work();
      times.push(performance.now() - begun);
      await new Promise((resolve) => {
        setImmediate(resolve);
      });
    }
  };
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const running = [
    loop(chainTimes, () =>
      batch.run(
        {
          kind: 'chain',
          underlying: 'SPY',
          pages: pages.map((page) => [page.slice()]),
          grouped: false,
          origin: { source: 'rest', feed: 'indicative' },
        },
        { light: false },
      ),
    ),
    loop(batchTimes, () => marketData.door.execute({ kind: 'stock-quotes', symbols }, CONTEXT)),
    // A single quote, as a request that arrives now: the wait for the loop is what it suffers.
    loop(quoteTimes, async () => {
      await new Promise((resolve) => {
        setTimeout(resolve, 1);
      });
      if (marketData.door.quoteNow(symbols[0] ?? '') === undefined) throw new TypeError('the quote is gone');
    }),
  ];
  await new Promise((resolve) => {
    setTimeout(resolve, seconds * 1_000);
  });
  isOver = true;
  await Promise.all(running);
  delay.disable();
  await batch.close();
  const chainP50 = quantile(chainTimes, 0.5);
  console.log(
    `under load: chains of 13,000 ${spread(chainTimes)} (${String(chainTimes.length)}); batches ${spread(batchTimes)} (${String(batchTimes.length)})`,
  );
  console.log(
    `  yardstick parse+stringify of the chain's pages on the main thread: ${yardstickMs.toFixed(1)} ms; ratio ${(chainP50 / yardstickMs).toFixed(2)}`,
  );
  console.log(`  single quote after a 1 ms timer: ${spread(quoteTimes)}`);
  console.log(
    `  event loop delay, ms: p50 ${(delay.percentile(50) / 1e6).toFixed(1)} p99 ${(delay.percentile(99) / 1e6).toFixed(1)} max ${(delay.max / 1e6).toFixed(1)}`,
  );
}

function size(answer: MarketDataAnswer): number {
  if (answer.kind === 'problem') throw new TypeError(answer.problem.detail);
  return answer.body.byteLength;
}

function quantile(times: readonly number[], share: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function spread(times: readonly number[]): string {
  return `p50 ${quantile(times, 0.5).toFixed(2)} ms p99 ${quantile(times, 0.99).toFixed(2)} ms`;
}
