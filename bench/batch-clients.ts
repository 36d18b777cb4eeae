/**
 * The heavy callers of bench/batch-service.ts in a process of their own, so that what they read does not delay the clock of
 * the single quotes: `node batch-clients.js '<json>'`. Asks for the batch and the chain in a loop each until its input
 * ends; then prints their times as one JSON line.
 */
import http from 'node:http';

export interface HeavyJob {
  readonly url: string;
  readonly token: string;
  readonly symbols: readonly string[];
  /** Another filter each time: nothing of it is in the cache. */
  readonly isCold: boolean;
}

const job = JSON.parse(process.argv[2] ?? '{}') as HeavyJob;
const agent = new http.Agent({ keepAlive: true, maxSockets: 2 });
const isOver = new Promise<void>((resolve) => process.stdin.on('end', resolve).resume());
let isStopped = false;
void isOver.then(() => (isStopped = true));
let asked = 0;

const filter = (): string => (job.isCold ? `?strike_price_gte=0.${String((asked += 1)).padStart(6, '0')}1` : '');
const [batches, chains] = await Promise.all([
  loop(() => call('/stocks/quotes', JSON.stringify({ symbols: job.symbols }))),
  loop(() => call(`/options/chain/SPY${filter()}`)),
]);
console.log(JSON.stringify({ batches, chains }));

async function loop(ask: () => Promise<number>): Promise<readonly number[]> {
  const times: number[] = [];
  while (!isStopped) times.push(await ask());
  return times;
}

/** @returns milliseconds */
function call(path: string, body?: string): Promise<number> {
  const begun = performance.now();
  const headers = { authorization: `Bearer ${job.token}`, 'content-type': 'application/json' };
  const method = body === undefined ? 'GET' : 'POST';
  return new Promise((resolve, reject) => {
    const request = http.request(`${job.url}/api/v1${path}`, { agent, method, headers }, (response) => {
      response.resume();
      response.on('end', () => {
        if (response.statusCode === 200) resolve(performance.now() - begun);
        else reject(new TypeError(`${path}: ${String(response.statusCode)}`));
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}
