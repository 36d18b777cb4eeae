/**
 * Many stream clients in one process, for bench/streams.ts: `node stream-clients.js '<json>'`. Prints one JSON line when
 * all are subscribed, runs until its time is over, prints another with what it received.
 */
import { WebSocket } from 'ws';

interface Job {
  readonly url: string;
  readonly token: string;
  readonly clients: number;
  /** Lists of symbols, given to the clients in turn; empty for a plain broadcast without subscriptions. */
  readonly lists: readonly (readonly string[])[];
  readonly seconds: number;
  /** Clients that stop reading once subscribed. */
  readonly stalled: number;
}

const job = JSON.parse(process.argv[2] ?? '{}') as Job;
const MARK = Buffer.from('"type":"quote"');
const TIMESTAMP = /"timestamp":"([^"]+)"/g;
/** Parsing every record of every client would measure this process. */
const SAMPLED_EVERY = 20;

let records = 0;
let bytes = 0;
let frames = 0;
let closed = 0;
let isCounting = false;
const latencies: number[] = [];

const clients = await Promise.all(Array.from({ length: job.clients + job.stalled }, (_, n) => open(n)));
console.log(JSON.stringify({ subscribed: clients.length }));
await new Promise((resolve) => setTimeout(resolve, 1_500));
isCounting = true;
await new Promise((resolve) => setTimeout(resolve, job.seconds * 1000));
isCounting = false;
latencies.sort((a, b) => a - b);
const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? NaN;
console.log(JSON.stringify({ records, bytes, frames, closed, samples: latencies.length, p50: at(0.5), p99: at(0.99) }));
process.exit(0);

function open(n: number): Promise<WebSocket> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(job.url, {
      headers: { authorization: `Bearer ${job.token}` },
      perMessageDeflate: false,
      // Several source addresses, as several hosts would have.
      localAddress: `127.0.0.${2 + (n % 50)}`,
    });
    const isStalled = n >= job.clients;
    socket.on('open', () => {
      if (job.lists.length === 0) resolve(socket);
      else socket.send(JSON.stringify({ action: 'subscribe', quotes: job.lists[n % job.lists.length] }));
    });
    socket.on('message', (data: Buffer) => {
      if (isCounting) count(data, n);
      else if (data.includes('"type":"subscription"')) {
        resolve(socket);
        if (isStalled) socket.pause();
      }
    });
    socket.on('close', () => (closed += isStalled ? 0 : 1));
    socket.on('error', reject);
  });
}

function count(data: Buffer, n: number): void {
  frames += 1;
  bytes += data.length;
  for (let found = data.indexOf(MARK); found >= 0; found = data.indexOf(MARK, found + MARK.length)) records += 1;
  if (n % SAMPLED_EVERY !== 0) return;
  const now = Date.now();
  for (const [, timestamp] of data.toString().matchAll(TIMESTAMP)) latencies.push(now - Date.parse(timestamp ?? ''));
}
