/**
 * Many stream clients in one process, for bench/streams.ts: `node stream-clients.js '<json>'`. Prints one JSON line when all
 * are subscribed. Then it takes commands, a line each: `start` counts from here on, `stop` prints what was received since,
 * `resume` reads again where nothing was read, `end` ends it.
 */
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

interface Job {
  readonly url: string;
  readonly token: string;
  readonly clients: number;
  /** Lists of symbols, given to the clients in turn; empty for a plain broadcast without subscriptions. */
  readonly lists: readonly (readonly string[])[];
  /** They stop reading once subscribed. */
  readonly stall?: boolean;
}

const job = JSON.parse(process.argv[2] ?? '{}') as Job;
const MARK = Buffer.from('"type":"quote"');
const TIMESTAMP = /"timestamp":"([^"]+)"/g;
/** Parsing every record of every client would measure this process. */
const SAMPLED_EVERY = job.clients > 200 ? 20 : 4;
const AT_ONCE = 50;

let records = 0;
let bytes = 0;
let frames = 0;
let isCounting = false;
/** By the second of their receipt. */
let latencies = new Map<number, number[]>();
const closes: Record<number, number> = {};

const sockets: WebSocket[] = [];
for (let n = 0; n < job.clients; n += AT_ONCE) {
  const some = Array.from({ length: Math.min(AT_ONCE, job.clients - n) }, (_, k) => open(n + k));
  sockets.push(...(await Promise.all(some)));
}
console.log(JSON.stringify({ subscribed: sockets.length }));
for await (const command of createInterface({ input: process.stdin })) {
  if (command === 'start') {
    records = bytes = frames = 0;
    latencies = new Map();
    isCounting = true;
  } else if (command === 'stop') {
    isCounting = false;
    const all = [...latencies.values()].flat();
    const p99s = [...latencies.values()].map((some) => at(some, 0.99));
    const open = sockets.filter((socket) => socket.readyState === WebSocket.OPEN).length;
    console.log(
      JSON.stringify({ records, bytes, frames, closes, open, ...{ p50: at(all, 0.5), p99: at(all, 0.99), p99s } }),
    );
  } else if (command === 'resume') for (const socket of sockets) socket.resume();
  else process.exit(0);
}

function at(values: number[], share: number): number {
  return values.sort((a, b) => a - b)[Math.floor(values.length * share)] ?? NaN;
}

function open(n: number): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(job.url, {
      headers: { authorization: `Bearer ${job.token}` },
      perMessageDeflate: false,
      // Several source addresses, as several hosts would have.
      localAddress: `127.0.0.${2 + (n % 50)}`,
    });
    socket.on('open', () => {
      if (job.lists.length === 0) resolve(socket);
      else socket.send(JSON.stringify({ action: 'subscribe', quotes: job.lists[n % job.lists.length] }));
    });
    socket.on('message', (data: Buffer) => {
      if (isCounting) count(data, n);
      if (!data.includes('"type":"subscription"')) return;
      if (job.stall === true) socket.pause();
      resolve(socket);
    });
    socket.on('close', (code) => (closes[code] = (closes[code] ?? 0) + 1));
    socket.on('error', reject);
  });
}

function count(data: Buffer, n: number): void {
  frames += 1;
  bytes += data.length;
  for (let found = data.indexOf(MARK); found >= 0; found = data.indexOf(MARK, found + MARK.length)) records += 1;
  if (n % SAMPLED_EVERY !== 0) return;
  const now = Date.now();
  const second = Math.floor(now / 1_000);
  const some = latencies.get(second) ?? [];
  for (const [, timestamp] of data.toString().matchAll(TIMESTAMP)) some.push(now - Date.parse(timestamp ?? ''));
  latencies.set(second, some);
}
