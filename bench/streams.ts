/**
 * Quotes to many stream clients: `npm run bench -- streams [clients] [seconds] [distinct|shared] [stalled]`. A simulator
 * sends 2,000 updates a second over 500 symbols; each client subscribes to 50 of them (from ten lists, or each its own
 * list with `distinct`). Latency is from the simulator's timestamp to the client's receipt, in one machine's clock.
 * Yardstick in the same run: a bare `ws` server that broadcasts frames of the same size at the same rate to as many
 * clients, without subscriptions, tokens or anything else.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import { WebSocketServer } from 'ws';
import { startGateway } from '../test/support/gateway-process.js';

export const isBenchmark = true;

const clients = Number(process.argv[2] ?? 500);
const seconds = Number(process.argv[3] ?? 15);
const isDistinct = process.argv[4] === 'distinct';
const stalled = Number(process.argv[5] ?? 0);
const SYMBOLS = 500;
const LIST = 50;

interface Received {
  readonly records: number;
  readonly bytes: number;
  readonly frames: number;
  readonly closed: number;
  readonly p50: number;
  readonly p99: number;
}

if (process.argv[2] === 'bare') await bareServer(JSON.parse(process.argv[3] ?? '{}') as BareJob);
else await main();

async function main(): Promise<void> {
  const limits = { sockets_per_subject: 20_000, sockets_per_address: 20_000, subscriptions_max: 1_000 };
  const gateway = await startGateway({
    accounts: 2,
    workers: 2,
    simulator: [
      '--symbols',
      String(SYMBOLS),
      '--ticks',
      '2000',
      '--rate',
      '100000',
      '--data-rate',
      '100000',
      '--plan',
      'plus',
    ],
    config: { market_data: { subscribe_limit: 5_000 }, streams: limits, limits: { connections_max: 20_000 } },
  });
  try {
    const assets = (await (await gateway.get('/assets?status=active')).json()) as readonly { symbol: string }[];
    const symbols = assets.map(({ symbol }) => symbol).filter((symbol) => /^[A-Z0-9]+$/.test(symbol));
    const pick = (n: number): readonly string[] =>
      Array.from({ length: LIST }, (_, k) => symbols[(n * 37 + k * (1 + (n % 7))) % symbols.length] ?? 'AAPL');
    const lists = Array.from({ length: isDistinct ? clients : 10 }, (_, n) => [...new Set(pick(n))]);
    const token = await gateway.token({ permissions: ['market_data'] });
    const url = `${gateway.url.replace('http', 'ws')}/api/v1/stream`;
    const workers = (await gateway.pool()).workers.map(({ pid }) => pid);
    const rssBefore = workers.map(rssOf);
    const measured = await run({ url, token, clients, lists, seconds, stalled }, workers);
    report('gateway, 2 workers', measured);
    const rssAfter = workers.map(rssOf);
    console.log(`  RSS of the workers ${rssBefore.join(' + ')} MB before, ${rssAfter.join(' + ')} MB after`);
    await gateway.stop();
    const frameBytes = Math.round(measured.received.bytes / measured.received.frames);
    const framesPerSecond = measured.received.frames / seconds / clients;
    const bare = await runBare({ frameBytes, framesPerSecond }, measured.received.records / measured.received.frames);
    report('bare ws broadcast of frames of that size and rate', bare);
    console.log(`ratio of CPU per delivered record: ${(measured.cpuPerRecord / bare.cpuPerRecord).toFixed(2)}`);
  } catch (cause) {
    // A worker that ended meanwhile has said why.
    console.error(
      gateway
        .output()
        .split('\n')
        .filter((line) => /"level":[56]0/.test(line))
        .join('\n')
        .slice(0, 4_000),
    );
    throw cause;
  } finally {
    await gateway.stop();
  }
}

interface Measured {
  readonly received: Received;
  readonly cpuPerRecord: number;
}

async function run(job: object, pids: readonly number[], recordsPerFrame?: number): Promise<Measured> {
  const child = spawn(
    process.execPath,
    [new URL('./stream-clients.js', import.meta.url).pathname, JSON.stringify(job)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const before = pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0);
  const told = JSON.parse((await lines.next()).value as string) as Received;
  const spent = pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0) - before;
  const records = recordsPerFrame === undefined ? told.records : told.frames * recordsPerFrame;
  return { received: { ...told, records }, cpuPerRecord: (spent / records) * 1e6 };
}

interface BareJob {
  readonly frameBytes: number;
  readonly framesPerSecond: number;
}

async function runBare(job: BareJob, recordsPerFrame: number): Promise<Measured> {
  const child = spawn(process.execPath, [new URL(import.meta.url).pathname, 'bare', JSON.stringify(job)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const line = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next();
  const url = `ws://127.0.0.1:${line.value as string}`;
  const measured = await run(
    { url, token: '', clients, lists: [], seconds, stalled: 0 },
    [child.pid ?? 0],
    recordsPerFrame,
  );
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

function report(name: string, { received, cpuPerRecord }: Measured): void {
  const perSecond = Math.round(received.records / seconds);
  console.log(`${name}: ${clients} clients${stalled > 0 ? ` beside ${stalled} that stopped reading` : ''}`);
  console.log(
    `  ${perSecond} records/s in ${Math.round(received.frames / seconds)} frames/s, ${cpuPerRecord.toFixed(2)} us CPU a record`,
  );
  if (Number.isFinite(received.p50)) {
    console.log(
      `  simulator to client p50 ${received.p50} ms, p99 ${received.p99} ms; ${received.closed} sockets closed`,
    );
  }
}

function cpuSecondsOf(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function rssOf(pid: number): number {
  return Math.round(Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) / 256);
}
