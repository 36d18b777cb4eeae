/**
 * CPU of one cached quote through the HTTP edge with fake doors, against a bare node:http server that answers the same
 * bytes. Both run in this process, in turns, driven by a child process whose CPU is not counted. Prints the ratio.
 * Usage: npm run bench -- http-edge [rounds]. The promise for the whole service is 3.5.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { silentLog } from '../src/kernel/runtime/log.js';
import { silentMeter } from '../src/kernel/runtime/meter.js';
import { SystemClock } from '../src/kernel/runtime/system-clock.js';
import { createHttpEdge, type HttpEdgeDeps } from '../src/workers/http/http-edge.js';

export const isBenchmark = true;

const CONNECTIONS = 16;
const REQUESTS = 20_000;
const TOKEN = `h0.${'a'.repeat(300)}.s0`;
const TARGET = '/api/v1/stocks/quote/AAPL';
const BODY = Buffer.from(
  '{"type":"quote","symbol":"AAPL","bid_price":1.1,"bid_size":2,"ask_price":1.2,"ask_size":3,"timestamp":"2026-01-05T15:00:00.123456789Z","source":"table","feed":"iex","age_ms":3}',
);
const ANSWER = { kind: 'answer', status: 200, headers: { 'content-type': 'application/json' }, body: BODY } as const;
const REQUEST = `GET ${TARGET} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${TOKEN}\r\nAccept: */*\r\nUser-Agent: bench\r\n\r\n`;

function edgeServer(): http.Server {
  const principal = {
    subject: 's',
    tokenId: undefined,
    permissions: new Set(['market_data'] as const),
    accounts: '*',
    expiresAt: 2e9,
  } as const;
  const never = (): Promise<never> => Promise.reject(new TypeError('not asked here'));
  const limits = {
    bodyBytesMax: 65_536,
    headersTimeoutMs: 5_000,
    requestTimeoutMs: 15_000,
    keepAliveTimeoutMs: 60_000,
    connectionsMax: 1_000,
    inFlightMax: 1_000,
  };
  const deps = {
    router: { accountIds: () => [], exists: () => false, report: () => undefined, execute: never },
    marketData: { quoteNow: () => ANSWER, execute: never },
    admin: { readiness: () => ({ ready: true, reasons: [] }), execute: never },
    verifier: { known: () => principal, verify: never, stillKnown: () => true, stillValid: () => true },
    config: {
      server: { host: '127.0.0.1', port: 0, trustProxy: false, requireHttps: false, exposeMetrics: false },
      limits,
      orders: { requireIdempotencyKey: false },
      cluster: { workers: 1 },
    },
    clock: new SystemClock(),
    log: silentLog,
    meter: silentMeter,
  } as unknown as HttpEdgeDeps;
  return createHttpEdge(deps).server;
}

function bareServer(): http.Server {
  return http.createServer((_req, res) => {
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': BODY.byteLength });
    res.end(BODY);
  });
}

async function portOf(server: http.Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** The child: keeps one request a connection in flight until all are answered. */
async function drive(port: number): Promise<void> {
  let left = REQUESTS;
  const one = async (): Promise<void> => {
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    await once(socket, 'connect');
    while (left > 0) {
      left -= 1;
      socket.write(REQUEST);
      let text = '';
      do text += String((await once(socket, 'data'))[0]);
      while (!text.endsWith('}'));
      if (!text.startsWith('HTTP/1.1 200')) throw new TypeError(text.slice(0, 200));
    }
    socket.destroy();
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, one));
}

async function microsecondsPerRequest(port: number): Promise<number> {
  const before = process.cpuUsage();
  const child = spawn(process.execPath, [...process.execArgv, process.argv[1] ?? '', 'drive', String(port)], {
    stdio: 'inherit',
  });
  const [code] = (await once(child, 'exit')) as [number];
  if (code !== 0) throw new TypeError('the driver failed');
  const used = process.cpuUsage(before);
  return (used.user + used.system) / REQUESTS;
}

async function compare(rounds: number): Promise<void> {
  const servers = { bare: bareServer(), edge: edgeServer() };
  const ports = { bare: await portOf(servers.bare), edge: await portOf(servers.edge) };
  const ratios: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    const bare = await microsecondsPerRequest(ports.bare);
    const edge = await microsecondsPerRequest(ports.edge);
    // The first round warms both up.
    if (round === 0) continue;
    ratios.push(edge / bare);
    console.log(
      `round ${round}: bare ${bare.toFixed(1)} us, edge ${edge.toFixed(1)} us, ratio ${(edge / bare).toFixed(2)}`,
    );
  }
  const median = ratios.sort((a, b) => a - b)[Math.floor(ratios.length / 2)] ?? Number.NaN;
  console.log(
    `node ${process.version}: CPU per request, edge to bare node:http, median of ${rounds}: ${median.toFixed(2)}`,
  );
  servers.bare.closeAllConnections();
  servers.bare.close();
  servers.edge.closeAllConnections();
  servers.edge.close();
}

if (process.argv[2] === 'drive') await drive(Number(process.argv[3]));
else await compare(Number(process.argv[2] ?? 5));
