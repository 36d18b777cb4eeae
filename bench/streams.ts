/**
 * Quotes to many stream clients: `npm run bench -- streams [clients] [seconds] [distinct|shared] [stalled] [ping ms]`. A simulator
 * sends 2,000 updates a second over 500 symbols; each client subscribes to 50 of them (from ten lists, or each its own
 * list with `distinct`). Latency is from the simulator's timestamp to the client's receipt, in one machine's clock.
 * Yardstick in the same run: a bare `ws` server that broadcasts frames of the same size at the same rate to as many
 * clients, without subscriptions, tokens or anything else. With `stalled`, that many more clients connect, subscribe and
 * never read again; the yardstick is what the others received before. A long time between pings keeps them open.
 */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocketServer } from 'ws';
import { startGateway, type GatewayProcess } from '../test/support/gateway-process.js';
import { StreamClientProcess, type Received } from '../test/support/stream-client-process.js';

export const isBenchmark = true;

const clients = Number(process.argv[2] ?? 500);
const seconds = Number(process.argv[3] ?? 15);
const isDistinct = process.argv[4] === 'distinct';
const stalled = Number(process.argv[5] ?? 0);
const pingMs = Number(process.argv[6] ?? 5_000);
const SYMBOLS = 500;
const LIST = 50;
const CLIENTS = new URL('./stream-clients.js', import.meta.url).pathname;
const SIMULATOR = ['--symbols', SYMBOLS, '--ticks', 2_000, '--rate', 100_000, '--data-rate', 100_000, '--plan', 'plus'];

if (process.argv[2] === 'bare') await bareServer(JSON.parse(process.argv[3] ?? '{}') as BareJob);
else await main();

async function main(): Promise<void> {
  const many = { sockets_per_subject: 20_000, sockets_per_address: 20_000, subscriptions_max: 1_000 };
  const limits = { ...many, ping_interval_ms: pingMs };
  const gateway = await startGateway({
    ...{ accounts: 2, workers: 2, simulator: SIMULATOR.map(String) },
    config: { market_data: { subscribe_limit: 5_000 }, streams: limits, limits: { connections_max: 20_000 } },
  });
  try {
    const job = await jobOf(gateway);
    if (stalled > 0) await besideStalled(gateway, job);
    else await againstBare(gateway, job);
  } catch (cause) {
    // A worker that ended meanwhile has said why.
    const said = gateway.output().split('\n');
    console.error(said.filter((line) => /"level":[56]0/.test(line)).join('\n').slice(0, 4_000)); // prettier-ignore
    throw cause;
  } finally {
    await gateway.stop();
  }
}

interface Job {
  readonly url: string;
  readonly token: string;
  readonly clients: number;
  readonly lists: readonly (readonly string[])[];
}

async function jobOf(gateway: GatewayProcess): Promise<Job> {
  const assets = (await (await gateway.get('/assets?status=active')).json()) as readonly { symbol: string }[];
  const symbols = assets.map(({ symbol }) => symbol).filter((symbol) => /^[A-Z0-9]+$/.test(symbol));
  const pick = (n: number): readonly string[] =>
    Array.from({ length: LIST }, (_, k) => symbols[(n * 37 + k * (1 + (n % 7))) % symbols.length] ?? 'AAPL');
  const lists = Array.from({ length: isDistinct ? clients : 10 }, (_, n) => [...new Set(pick(n))]);
  const token = await gateway.token({ permissions: ['market_data'] });
  return { url: `${gateway.url.replace('http', 'ws')}/api/v1/stream`, token, clients, lists };
}

async function againstBare(gateway: GatewayProcess, job: Job): Promise<void> {
  const workers = await pidsOf(gateway);
  const rssBefore = workers.map(rssOf);
  const measured = await run(job, workers);
  report('gateway, 2 workers', measured);
  console.log(`  RSS of the workers ${rssBefore.join(' + ')} MB before, ${workers.map(rssOf).join(' + ')} MB after`);
  await gateway.stop();
  const { bytes, frames, records } = measured.received;
  const bare = await runBare({ frameBytes: Math.round(bytes / frames), framesPerSecond: frames / seconds / clients });
  // Its frames hold no records: they stand for as many as ours did.
  const cpuPerRecord = bare.cpuSeconds / bare.received.frames / (records / frames);
  report('bare ws broadcast of frames of that size and rate', {
    ...{
      received: { ...bare.received, records: (bare.received.frames * records) / frames },
      cpuSeconds: bare.cpuSeconds,
    },
  });
  console.log(`ratio of CPU per delivered record: ${(measured.cpuSeconds / records / cpuPerRecord).toFixed(2)}`);
}

/**
 * The others' latency before, while the stalled ones come, when all have stopped, and after; how the stalled ones end. Judged by
 * the median of the seconds' p99s: one second in which the machine did something else is not the gateway's.
 */
async function besideStalled(gateway: GatewayProcess, job: Job): Promise<void> {
  const workers = await pidsOf(gateway);
  const good = new StreamClientProcess(CLIENTS, job);
  await good.ready();
  await sleep(3_000);
  const rssBefore = sum(workers.map(rssOf));
  const baseline = await windowOf(good, seconds);
  const watch = watchSockets(gateway, workers);
  good.start();
  const bad = new StreamClientProcess(CLIENTS, { ...job, clients: stalled, stall: true });
  await bad.ready();
  const lastStopped = Date.now();
  const coming = await good.stop();
  const beside = await windowOf(good, seconds);
  const left = await openSockets(gateway);
  const { rssMost, allGoneAt } = watch.end();
  bad.resume();
  await sleep(4_000);
  bad.start();
  const { closes, open } = await bad.stop();
  await bad.end();
  const after = await windowOf(good, seconds);
  await good.end();

  const typical = median(baseline.p99s);
  const show = (name: string, { p50, p99, p99s, records }: Received, over: number): void =>
    console.log(
      [
        `  ${name}: p50 ${p50} ms, p99 of all ${p99} ms, of the median second ${median(p99s)} ms`,
        `(${(median(p99s) / typical).toFixed(2)} times), ${Math.round(records / over)} records/s`,
      ].join(' '),
    );
  const cameMs = lastStopped - watch.since;
  console.log(`${clients} clients that read, beside ${stalled} that subscribe to as much and stop reading at once`);
  show('before', baseline, seconds);
  show(`while they come, ${Math.round(stalled / (cameMs / 1_000))} a second`, coming, cameMs / 1_000);
  show('when all have stopped', beside, seconds);
  show('when all are gone', after, seconds);
  const goneAfter =
    allGoneAt === undefined ? 'not' : `${((allGoneAt - lastStopped) / 1_000).toFixed(1)} s after the last stopped`;
  console.log(`  all closed by us: ${goneAfter}; sockets open after ${seconds} s: ${left}`);
  console.log(`  how they found themselves when they read again: ${JSON.stringify({ closed: closes, open })}`);
  console.log(`  RSS of the workers ${rssBefore} MB before, ${rssMost} MB at most`);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

async function windowOf(process: StreamClientProcess, forSeconds: number): Promise<Received> {
  process.start();
  await sleep(forSeconds * 1_000);
  return process.stop();
}

interface Watch {
  readonly since: number;
  end(): { readonly rssMost: number; readonly allGoneAt: number | undefined };
}

function watchSockets(gateway: GatewayProcess, workers: readonly number[]): Watch {
  let rssMost = 0;
  let allGoneAt: number | undefined;
  let isMany = false;
  const timer = setInterval(() => {
    rssMost = Math.max(rssMost, sum(workers.map(rssOf)));
    void openSockets(gateway).then((open) => {
      isMany ||= open > clients + stalled / 2;
      if (isMany && open <= clients) allGoneAt ??= Date.now();
    });
  }, 500);
  return {
    since: Date.now(),
    end: () => {
      clearInterval(timer);
      return { rssMost, allGoneAt };
    },
  };
}

async function openSockets(gateway: GatewayProcess): Promise<number> {
  const text = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  return Number(/^opitios_stream_sockets(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1] ?? 0);
}

interface Measured {
  readonly received: Received;
  readonly cpuSeconds: number;
}

async function run(job: Job, pids: readonly number[]): Promise<Measured> {
  const all = new StreamClientProcess(CLIENTS, job);
  await all.ready();
  await sleep(1_500);
  const before = sum(pids.map(cpuSecondsOf));
  const received = await windowOf(all, seconds);
  const cpuSeconds = sum(pids.map(cpuSecondsOf)) - before;
  await all.end();
  return { received, cpuSeconds };
}

interface BareJob {
  readonly frameBytes: number;
  readonly framesPerSecond: number;
}

async function runBare(job: BareJob): Promise<Measured> {
  const child = spawn(process.execPath, [new URL(import.meta.url).pathname, 'bare', JSON.stringify(job)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  const url = `ws://127.0.0.1:${line.value as string}`;
  const measured = await run({ url, token: '', clients, lists: [] }, [child.pid ?? 0]);
  child.kill();
  return measured;
}

async function bareServer({ frameBytes, framesPerSecond }: BareJob): Promise<void> {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1', perMessageDeflate: false });
  await new Promise((resolve) => server.on('listening', resolve));
  console.log((server.address() as { port: number }).port);
  const frame = Buffer.alloc(frameBytes, 'x');
  setInterval(() => {
    for (const client of server.clients) client.send(frame, { binary: false });
  }, 1000 / framesPerSecond);
}

function report(name: string, { received, cpuSeconds }: Measured): void {
  const { records, frames, closes, p50, p99 } = received;
  const perRecord = ((cpuSeconds / records) * 1e6).toFixed(2);
  console.log(`${name}: ${clients} clients`);
  console.log(
    `  ${Math.round(records / seconds)} records/s in ${Math.round(frames / seconds)} frames/s, ${perRecord} us CPU a record`,
  );
  if (Number.isFinite(p50))
    console.log(`  simulator to client p50 ${p50} ms, p99 ${p99} ms; sockets closed: ${JSON.stringify(closes)}`);
}

async function pidsOf(gateway: GatewayProcess): Promise<readonly number[]> {
  return (await gateway.pool()).workers.map(({ pid }) => pid);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function rssOf(pid: number): number {
  return Math.round(Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) / 256);
}
