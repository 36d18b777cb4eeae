/**
 * CPU of one cached quote through the whole service (token, validation, metrics, access log; one worker, simulator in its
 * own process) against a bare node:http server that answers the same bytes, each in a process of its own, in turns.
 * CPU is read from /proc/PID/stat of the serving process. Usage: npm run bench -- quotes [rounds] [FILE]. The promise is
 * 3.5. With FILE one more round runs under the profiler, which is written there.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { eventually, startGateway, type GatewayProcess } from '../test/support/gateway-process.js';

export const isBenchmark = true;

const CONNECTIONS = 16;
const REQUESTS = 6_000;
/** A round is so many turns of both, added up: a machine that changes its pace meanwhile changes it for both. */
const SLICES = 6;
const TICKS_PER_SECOND = 100;
const TARGET = '/api/v1/stocks/quote/AAPL';

interface Driven {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** Answers that were not read from memory. */
  readonly fetched: number;
}

interface Round extends Driven {
  /** CPU microseconds of the serving process a request. */
  readonly cpu: number;
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The child: keeps one request a connection in flight until all are answered. */
async function drive(port: number, token: string): Promise<void> {
  const request = `GET ${TARGET} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n`;
  const times: number[] = [];
  let left = REQUESTS;
  let fetched = 0;
  const one = async (): Promise<void> => {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    await once(socket, 'connect');
    while (left > 0) {
      left -= 1;
      const begun = performance.now();
      socket.write(request);
      let text = '';
      do text += String((await once(socket, 'data'))[0]);
      while (!text.endsWith('}'));
      times.push(performance.now() - begun);
      if (!text.startsWith('HTTP/1.1 200')) throw new TypeError(text.slice(0, 300));
      if (text.includes('upstream;dur')) fetched += 1;
    }
    socket.destroy();
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: CONNECTIONS }, one));
  const perSecond = (times.length * 1_000) / (performance.now() - begun);
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.floor(times.length * share)] ?? Number.NaN;
  console.log(JSON.stringify({ perSecond, p50: at(0.5), p99: at(0.99), fetched }));
}

async function bare(body: string): Promise<void> {
  const bytes = Buffer.from(body);
  const server = http.createServer((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': bytes.byteLength });
    res.end(bytes);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  console.log((server.address() as AddressInfo).port);
}

function child(...args: string[]): ChildProcess {
  return spawn(process.execPath, [process.argv[1] ?? '', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function measure(pid: number, port: number, token: string): Promise<Round> {
  const driver = child('drive', String(port), token);
  const before = cpuSeconds(pid);
  const [line] = (await once(driver.stdout ?? driver, 'data')) as [Buffer];
  const cpu = ((cpuSeconds(pid) - before) * 1e6) / REQUESTS;
  return { ...(JSON.parse(String(line)) as Driven), cpu };
}

async function compare(gateway: GatewayProcess, rounds: number): Promise<void> {
  await eventually(async () => {
    const response = await gateway.get('/stocks/quote/AAPL');
    await response.arrayBuffer();
    return response.ok && response.headers.get('server-timing')?.includes('upstream') === false;
  }, 'a cached quote');
  const token = await gateway.token();
  const body = await (await gateway.get('/stocks/quote/AAPL')).text();
  const yardstick = child('bare', body);
  try {
    const [line] = (await once(yardstick.stdout ?? yardstick, 'data')) as [Buffer];
    const worker = (await gateway.pool()).workers[0]?.pid ?? 0;
    const ratios: number[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      const plains: Round[] = [];
      const fulls: Round[] = [];
      for (let slice = 0; slice < SLICES; slice += 1) {
        plains.push(await measure(yardstick.pid ?? 0, Number(String(line)), token));
        fulls.push(await measure(worker, Number(new URL(gateway.url).port), token));
      }
      const plain = mean(plains);
      const full = mean(fulls);
      // The first round warms both up.
      if (round === 0) continue;
      ratios.push(full.cpu / plain.cpu);
      console.log(
        `round ${round}: bare ${told(plain)}; service ${told(full)}, fetched ${full.fetched}; ratio ${(full.cpu / plain.cpu).toFixed(2)}`,
      );
    }
    const median = ratios.sort((a, b) => a - b)[Math.floor(ratios.length / 2)] ?? Number.NaN;
    const file = process.argv[3];
    if (file !== undefined) await profile(gateway, worker, token, file);
    console.log(`node ${process.version}: CPU of a quote, service to bare, median of ${rounds}: ${median.toFixed(2)}`);
  } finally {
    yardstick.kill('SIGTERM');
  }
}

async function profile(gateway: GatewayProcess, worker: number, token: string, file: string): Promise<void> {
  const response = fetch(`${gateway.url}/api/v1/admin/profile?seconds=4`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
  });
  for (let slice = 0; slice < SLICES; slice += 1) await measure(worker, Number(new URL(gateway.url).port), token);
  writeFileSync(file, await (await response).text());
}

function mean(slices: readonly Round[]): Round {
  const of = (part: keyof Round): number => slices.reduce((sum, slice) => sum + slice[part], 0) / slices.length;
  return { cpu: of('cpu'), perSecond: of('perSecond'), p50: of('p50'), p99: of('p99'), fetched: of('fetched') };
}

function told({ cpu, perSecond, p50, p99 }: Round): string {
  return `${cpu.toFixed(1)} us ${perSecond.toFixed(0)}/s p50 ${p50.toFixed(2)} ms p99 ${p99.toFixed(2)} ms`;
}

if (process.argv[2] === 'drive') await drive(Number(process.argv[3]), process.argv[4] ?? '');
else if (process.argv[2] === 'bare') await bare(process.argv[3] ?? '');
else {
  const gateway = await startGateway({ workers: 1, accounts: 4 });
  try {
    await compare(gateway, Number(process.argv[2] ?? 5));
  } finally {
    await gateway.stop();
  }
}
