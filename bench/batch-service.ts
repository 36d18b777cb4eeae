/**
 * Batches and chains through a real gateway of one worker: `npm run bench -- batch-service [seconds] [threads]`, 15 s
 * and 1 thread by default, then the same with threads off. The simulator, the heavy callers and the one that asks for single
 * quotes are processes of their own; the first two are nice, as on one machine they take what the gateway would have.
 * While 1,000-symbol batches and chains of 13,000 contracts run in a loop, a single quote is asked for and the worker's
 * own metric says how late its event loop is. Once with chains as the cache gives them, once with every chain cold.
 * Aims: loop delay p99 under 10 ms, quote p99 under 15 ms.
 */
import { spawn } from 'node:child_process';
import http from 'node:http';
import { setPriority } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HeavyJob } from './batch-clients.js';
import { eventually, startGateway, type GatewayProcess } from '../test/support/gateway-process.js';

export const isBenchmark = true;

const WARM_RUNS = 300;
const QUOTE_EVERY_MS = 5;
const QUOTES = 2_000;
const SYMBOLS = 1_000;
const HEAVY = new URL('./batch-clients.js', import.meta.url).pathname;

interface Answer {
  readonly bytes: number;
  readonly ms: number;
}

/** A list of a thousand symbols is too long for an address. */
type Question = string | { readonly path: string; readonly body: string };
type Ask = (question: Question, headers?: Readonly<Record<string, string>>) => Promise<Answer>;

const seconds = Number(process.argv[2] ?? 15);
const threads = Number(process.argv[3] ?? 1);
for (const count of [threads, 0]) await measure(count);

async function measure(threadCount: number): Promise<void> {
  console.log(`\n== ${threadCount === 0 ? 'threads off' : `${String(threadCount)} thread(s)`}`);
  const gateway = await startGateway({
    workers: 1,
    accounts: 2,
    simulator: ['--symbols', String(SYMBOLS), '--options', 'AAPL,SPY', '--rate', '1000000', '--data-rate', '1000000'],
    config: {
      cluster: { threads: threadCount },
      alpaca: { rate_limit_per_minute: 100_000, data_rate_limit_per_minute: 100_000 },
      market_data: { quote_max_age_ms: 3_600_000 },
    },
  });
  yieldTo(gateway.simulator.process.pid);
  try {
    const pool = (await gateway.pool()) as unknown as { readonly workers: readonly { readonly threads: number }[] };
    console.log(`/pool says threads: ${String(pool.workers[0]?.threads)}`);
    await compare(gateway);
  } finally {
    await gateway.stop();
  }
}

async function compare(gateway: GatewayProcess): Promise<void> {
  const ask = asker(gateway, await gateway.token());
  const assets = (await (await gateway.get('/assets?status=active')).json()) as readonly { readonly symbol: string }[];
  const symbols = assets.map(({ symbol }) => symbol).slice(0, SYMBOLS);
  const batch = { path: '/stocks/quotes', body: JSON.stringify({ symbols }) };
  await ask(batch);
  await eventually(async () => (await ask(`/stocks/quote/${symbols[0] ?? ''}`)).bytes > 0, 'a quote');
  const warm: Answer[] = [];
  for (let run = 0; run < WARM_RUNS; run += 1) warm.push(await ask(batch));
  console.log(
    `batch of ${symbols.length} quotes, warm: ${spread(warm.map(({ ms }) => ms))}, ${warm[0]?.bytes} bytes (${WARM_RUNS} runs)`,
  );
  for (const underlying of ['AAPL', 'SPY']) {
    const path = `/options/chain/${underlying}`;
    const gzip = { 'accept-encoding': 'gzip' };
    for (const [name, headers] of [
      ['cold', {}],
      ['from the cache', {}],
      ['from the cache, gzip', gzip],
    ] as const) {
      const { ms, bytes } = await ask(path, headers);
      console.log(`chain ${underlying} ${name}: ${ms.toFixed(1)} ms, ${bytes} bytes`);
    }
  }
  const job = { url: gateway.url, token: await gateway.token(), symbols };
  await underLoad(gateway, ask, 'chains as the cache gives them', { ...job, isCold: false });
  await underLoad(gateway, ask, 'every chain cold', { ...job, isCold: true });
}

async function underLoad(gateway: GatewayProcess, ask: Ask, name: string, job: HeavyJob): Promise<void> {
  const before = await delays(gateway);
  const heavy = spawn(process.execPath, [HEAVY, JSON.stringify(job)], { stdio: ['pipe', 'pipe', 'inherit'] });
  yieldTo(heavy.pid);
  const said = createInterface({ input: heavy.stdout })[Symbol.asyncIterator]().next();
  const quotes: number[] = [];
  const end = performance.now() + seconds * 1_000;
  for (let index = 0; performance.now() < end && quotes.length < QUOTES; index += 1) {
    quotes.push((await ask(`/stocks/quote/${job.symbols[index % job.symbols.length] ?? ''}`)).ms);
    await sleep(QUOTE_EVERY_MS);
  }
  heavy.stdin.end();
  const { batches, chains } = JSON.parse(String((await said).value)) as Record<'batches' | 'chains', readonly number[]>;
  // The worker tells its metrics with every beat of the primary.
  await sleep(1_500);
  const after = await delays(gateway);
  console.log(
    `under load, ${name}: batches ${spread(batches)} (${batches.length}); chains of 13,000 ${spread(chains)} (${chains.length})`,
  );
  console.log(`  single quote: ${spread(quotes)} (${quotes.length})`);
  console.log(`  event loop delay by the worker's metric: ${delaySpread(before, after)}`);
}

/** Broker and callers are other machines elsewhere: here they go on when the gateway has nothing to do. */
function yieldTo(pid: number | undefined): void {
  if (pid !== undefined) setPriority(pid, 10);
}

/** Cumulative counts by bucket, in milliseconds. */
type Delays = readonly (readonly [upToMs: number, count: number])[];

async function delays(gateway: GatewayProcess): Promise<Delays> {
  const authorization = `Bearer ${await gateway.token()}`;
  const text = await (await fetch(`${gateway.adminUrl}/metrics`, { headers: { authorization } })).text();
  return [...text.matchAll(/opitios_event_loop_delay_seconds_bucket\{le="([^"]+)"\} (\d+)/g)].map(
    ([, le, count]) => [le === '+Inf' ? Infinity : Number(le) * 1_000, Number(count)] as const,
  );
}

function delaySpread(before: Delays, after: Delays): string {
  const counts = after.map(([upToMs, count], index) => [upToMs, count - (before[index]?.[1] ?? 0)] as const);
  const total = counts.at(-1)?.[1] ?? 0;
  const within = (share: number): string => {
    const bucket = counts.find(([, count]) => count >= total * share);
    return `<= ${bucket?.[0] ?? 'nothing'} ms`;
  };
  const under10 = counts.find(([upToMs]) => upToMs === 10)?.[1] ?? 0;
  return `p50 ${within(0.5)}, p99 ${within(0.99)}; ${((100 * under10) / total).toFixed(2)} % under 10 ms of ${total} beats`;
}

function asker(gateway: GatewayProcess, token: string): Ask {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  return (question, headers = {}) =>
    new Promise((resolve, reject) => {
      const { path, body } = typeof question === 'string' ? { path: question, body: undefined } : question;
      const begun = performance.now();
      const authorization = `Bearer ${token}`;
      const options =
        body === undefined
          ? { agent, headers: { authorization, ...headers } }
          : { agent, method: 'POST', headers: { authorization, 'content-type': 'application/json', ...headers } };
      const request = http.request(`${gateway.url}/api/v1${path}`, options, (response) => {
        let bytes = 0;
        response.on('data', (chunk: Buffer) => (bytes += chunk.byteLength));
        response.on('end', () => {
          if (response.statusCode === 200) resolve({ bytes, ms: performance.now() - begun });
          else reject(new TypeError(`${path}: ${String(response.statusCode)}`));
        });
      });
      request.on('error', reject);
      request.end(body);
    });
}

function spread(unsorted: readonly number[]): string {
  const times = [...unsorted].sort((a, b) => a - b);
  const at = (share: number): string =>
    (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN).toFixed(2);
  return `p50 ${at(0.5)} ms p99 ${at(0.99)} ms`;
}
