/**
 * The worker that owns market data is killed again and again: `npm run bench -- hub-kill [kills]`, 20 by default. Two
 * workers, the simulator in a process of its own under 300 ticks a second, a reader that asks for one quote every 10 ms.
 * Told: from the kill until that quote comes fresh from the successor's socket (p50, p99), and where the time goes by
 * the log lines of the processes. The promise is 2 s; no read may be refused meanwhile.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, startGateway, type GatewayProcess } from '../test/support/gateway-process.js';

export const isBenchmark = true;

const SYMBOLS = ['AAPL', 'MSFT', 'SPY'];
const READ_EVERY_MS = 10;
/** A worker that dies younger counts as one that cannot live, and is replaced after a pause. */
const LIFE_MS = 10_500;
const STEPS = ['worker ended', 'market data hub begins', 'data stream ready'] as const;

interface Quote {
  readonly age_ms: number;
  readonly source: string;
  readonly stale?: boolean;
}

interface LogLine {
  readonly msg: string;
  readonly time: string;
  readonly slot?: number;
  readonly side?: string;
}

interface Kill {
  readonly freshMs: number;
  readonly steps: Readonly<Record<string, number>>;
  readonly refused: number;
}

async function quotesOf(gateway: GatewayProcess): Promise<readonly (Quote | number)[]> {
  return Promise.all(
    SYMBOLS.map(async (symbol) => {
      const response = await gateway.get(`/stocks/quote/${symbol}`);
      const body = (await response.json()) as Quote;
      return response.status === 200 ? body : response.status;
    }),
  );
}

function isLive(quote: Quote | number): boolean {
  return typeof quote !== 'number' && quote.source === 'stream' && quote.stale === undefined;
}

function linesSince(gateway: GatewayProcess, from: number): readonly LogLine[] {
  return gateway
    .output()
    .slice(from)
    .split('\n')
    .flatMap((line) => (STEPS.some((step) => line.includes(step)) ? [JSON.parse(line) as LogLine] : []));
}

async function kill(gateway: GatewayProcess): Promise<Kill> {
  await eventually(async () => (await gateway.pool()).workers.every(({ state }) => state === 'ready'), 'all ready');
  await eventually(async () => (await quotesOf(gateway)).every(isLive), 'live before the kill');
  const slot = linesSince(gateway, 0).findLast(({ msg }) => msg === 'market data hub begins')?.slot ?? 0;
  const from = gateway.output().length;
  await gateway.signalWorker(slot, 'SIGKILL');
  const killedAt = Date.now();
  let freshAt: number | undefined;
  let refused = 0;
  while (freshAt === undefined) {
    await sleep(READ_EVERY_MS);
    // The killed worker takes its connections along: those are no answers.
    const quotes = await quotesOf(gateway).catch(() => []);
    const now = Date.now();
    refused += quotes.filter((quote) => typeof quote === 'number').length;
    const isFresh = (quote: Quote | number): boolean =>
      isLive(quote) && typeof quote !== 'number' && now - quote.age_ms > killedAt + 5;
    if (quotes.length > 0 && quotes.every(isFresh)) freshAt = now;
    if (now - killedAt > 60_000) throw new TypeError('no successor within a minute');
  }
  const steps: Record<string, number> = {};
  for (const { msg, time, side } of linesSince(gateway, from)) {
    if (side !== 'option') steps[msg] ??= Date.parse(time) - killedAt;
  }
  return { freshMs: freshAt - killedAt, steps, refused };
}

function spread(times: readonly number[]): string {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return `p50 ${at(0.5)} ms p99 ${at(0.99)} ms max ${sorted.at(-1) ?? NaN} ms`;
}

const kills = Number(process.argv[2] ?? 20);
const gateway = await startGateway({
  workers: 2,
  accounts: 2,
  simulator: ['--ticks', '300', '--data-rate', '100000'],
  config: { cluster: { warm_spare: true } },
});
try {
  const all: Kill[] = [];
  for (let index = 0; index < kills; index += 1) {
    if (index > 0) await sleep(LIFE_MS);
    const one = await kill(gateway);
    all.push(one);
    const steps = STEPS.map((step) => `${step} +${one.steps[step] ?? '?'}`).join(', ');
    console.log(`kill ${index + 1}: ${steps}, every quote fresh +${one.freshMs} ms; refused reads ${one.refused}`);
  }
  for (const step of STEPS) console.log(`${step}: ${spread(all.map(({ steps }) => steps[step] ?? NaN))}`);
  const refused = all.reduce((sum, one) => sum + one.refused, 0);
  console.log(`kill to fresh quotes, ${kills} kills: ${spread(all.map(({ freshMs }) => freshMs))}; refused ${refused}`);
} finally {
  await gateway.stop();
}
