/**
 * What several instances cost on one machine: `npm run bench -- instances [seconds]`, 4 s a measurement; `instances 0 100 400`
 * tells what an idle account costs between those numbers of them instead. A real Redis, one simulator in a process of its own, one worker an
 * instance, this process as the client. Told: requests a second and processor time a request of all gateway processes
 * by kind, here and forwarded; a mixed load against what those figures predict; how much later a quote comes in the
 * instance that does not hold the socket; what an idle instance and an idle account cost. The client and the simulator
 * share the same cores, so requests a second say what this machine does, and processor time what the gateway needs.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { WebSocket } from 'ws';
import { eventually, type GatewayProcess } from '../test/support/gateway-process.js';
import { startInstances, type Instances } from '../test/support/instances.js';

export const isBenchmark = true;

const NAMES = ['alpha', 'beta', 'gamma'];
const CONNECTIONS = 12;
const TICKS_PER_SECOND = 100;
const ACCOUNTS = 30;
const IDLE_MS = 8_000;
const SETTLE_MS = 2_000;
const TURNS = 4;
/** Shorter than the gateway's: between turns connections stand idle. */
const KEPT = { keepAliveTimeout: 1_000, keepAliveMaxTimeout: 1_000 };
const WARM_MS = 400;
const MIX = { quote: 0.7, read: 0.25, order: 0.05 };
const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: '1.00' };
const LIMITS = { rate_limit_per_minute: 100_000, data_rate_limit_per_minute: 100_000 };

const seconds = Number(process.argv[2] ?? 4);
const accountCounts = process.argv.slice(3).map(Number);

interface Door {
  readonly gateway: GatewayProcess;
  readonly pool: Pool;
  readonly token: string;
  /** Accounts that it holds, and that it does not. */
  readonly here: readonly string[];
  readonly there: readonly string[];
}

type Kind = 'quote' | 'read here' | 'read there' | 'order here' | 'order there';
type Costs = Partial<Record<Kind, number>>;

let orderNumber = 0;
const unserved = new Map<string, number>();

/** Processor seconds so far. */
function cpuOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    return 0;
  }
}

function residentMb(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) / 1_024;
}

/** Primary first, then its workers. */
function pidsOf({ primary }: GatewayProcess): readonly number[] {
  const parent = primary.pid ?? 0;
  const children = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent;
      } catch {
        return false;
      }
    });
  return [parent, ...children];
}

const cpuOfAll = (doors: readonly Door[]): number =>
  doors.flatMap(({ gateway }) => pidsOf(gateway)).reduce((sum, pid) => sum + cpuOf(pid), 0);

async function doorsOf({ gateways }: Instances): Promise<readonly Door[]> {
  const [first] = gateways;
  const all = first?.accountIds ?? [];
  await eventually(async () => {
    const pools = await Promise.all(gateways.map((gateway) => gateway.pool()));
    return pools.every(
      ({ leases, ready }) => ready && leases?.members.length === gateways.length && leases.unowned_slots === 0,
    );
  }, 'every account has a holder');
  return Promise.all(
    gateways.map(async (gateway) => {
      const { accounts } = await gateway.pool();
      const own = new Set(accounts.map(({ account_id }) => account_id));
      return {
        gateway,
        pool: new Pool(gateway.url, { ...KEPT, connections: CONNECTIONS, pipelining: 1 }),
        token: await gateway.token(),
        here: all.filter((id) => own.has(id)),
        there: all.filter((id) => !own.has(id)),
      };
    }),
  );
}

async function ask({ pool, token, here, there }: Door, kind: Kind, number: number): Promise<void> {
  const accounts = kind.endsWith('there') ? there : here;
  const account = accounts[number % accounts.length] ?? '';
  const authorization = `Bearer ${token}`;
  const isOrder = kind.startsWith('order');
  const path =
    kind === 'quote' ? '/stocks/quote/AAPL' : `/accounts/${account}/${isOrder ? 'orders/stocks' : 'positions'}`;
  const { statusCode, body } = await pool.request({
    path: `/api/v1${path}`,
    method: isOrder ? 'POST' : 'GET',
    headers: isOrder
      ? { authorization, 'content-type': 'application/json', 'idempotency-key': `bench-${(orderNumber += 1)}` }
      : { authorization },
    ...(isOrder && { body: JSON.stringify(ORDER) }),
  });
  const text = await body.text();
  if (statusCode === (isOrder ? 201 : 200)) return;
  // A machine that is too slow for its leases: told at the end, and counted like the others.
  if (statusCode !== 202 && statusCode !== 503) throw new TypeError(`${kind}: ${statusCode} ${text.slice(0, 200)}`);
  const what = `${kind} ${statusCode}`;
  unserved.set(what, (unserved.get(what) ?? 0) + 1);
}

interface Slice {
  readonly requests: number;
  readonly ms: number;
  readonly cpuUs: number;
  readonly times: readonly number[];
}

/** Keeps one request a connection in flight at every instance. */
async function drive(doors: readonly Door[], kindOf: (number: number) => Kind, forMs: number): Promise<Slice> {
  const times: number[] = [];
  let number = 0;
  const before = cpuOfAll(doors);
  const begun = performance.now();
  const loops = doors.flatMap((door) =>
    Array.from({ length: Math.ceil(CONNECTIONS / doors.length) }, async () => {
      while (performance.now() - begun < forMs) {
        const asked = performance.now();
        number += 1;
        await ask(door, kindOf(number), number);
        times.push(performance.now() - asked);
      }
    }),
  );
  await Promise.all(loops);
  return { requests: times.length, ms: performance.now() - begun, cpuUs: (cpuOfAll(doors) - before) * 1e6, times };
}

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;

/**
 * Every kind in turns, so that a machine that changes its pace changes it for all. The processor time that the idle
 * processes need anyway is taken off. @returns median of the turns, in microseconds of processor time a request
 */
async function compare(
  doors: readonly Door[],
  idleUsPerS: number,
  kinds: Readonly<Record<string, (number: number) => Kind>>,
): Promise<Readonly<Record<string, number>>> {
  const slices = new Map<string, Slice[]>(Object.keys(kinds).map((name) => [name, []]));
  for (let turn = 0; turn <= TURNS; turn += 1) {
    for (const [name, kindOf] of Object.entries(kinds)) {
      const slice = await drive(doors, kindOf, turn === 0 ? WARM_MS : (seconds * 1_000) / TURNS);
      if (turn > 0) slices.get(name)?.push(slice);
    }
  }
  const costs: Record<string, number> = {};
  for (const [name, own] of slices) {
    const costOf = ({ requests, ms, cpuUs }: Slice): number => (cpuUs - (idleUsPerS * ms) / 1_000) / requests;
    const cost = median(own.map(costOf));
    const times = own.flatMap((slice) => slice.times).sort((a, b) => a - b);
    const at = (share: number): string => (times[Math.floor(times.length * share)] ?? Number.NaN).toFixed(2);
    const rate = median(own.map(({ requests, ms }) => (requests * 1_000) / ms)).toFixed(0);
    costs[name] = cost;
    console.log(`| ${doors.length} | ${name} | ${rate} | ${cost.toFixed(0)} | ${at(0.5)} | ${at(0.99)} |`);
  }
  return costs;
}

function mixed(number: number, instances: number): Kind {
  const place = (number * 0.618_034) % 1;
  if (place < MIX.quote) return 'quote';
  const where = number % instances === 0 ? 'here' : 'there';
  return place < MIX.quote + MIX.read ? `read ${where}` : `order ${where}`;
}

function predicted(costs: Costs, instances: number): number {
  const of = (what: 'read' | 'order'): number =>
    (costs[`${what} here`] ?? 0) / instances + ((costs[`${what} there`] ?? 0) * (instances - 1)) / instances;
  return MIX.quote * (costs.quote ?? 0) + MIX.read * of('read') + MIX.order * of('order');
}

/** How idle processes live: processor microseconds a second and megabytes, of primaries and workers. */
async function idle(doors: readonly Door[]): Promise<{ readonly cpu: number; readonly mb: number }> {
  await sleep(SETTLE_MS);
  const before = cpuOfAll(doors);
  await sleep(IDLE_MS);
  const cpu = ((cpuOfAll(doors) - before) * 1e6) / (IDLE_MS / 1_000);
  return { cpu, mb: doors.flatMap(({ gateway }) => pidsOf(gateway)).reduce((sum, pid) => sum + residentMb(pid), 0) };
}

/** Arrival of each quote at a client of this instance: by symbol and time of the quote. */
async function arrivals(
  gateway: GatewayProcess,
  symbols: readonly string[],
): Promise<{ readonly at: Map<string, number>; readonly end: () => void }> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/api/v1/stream`, {
    headers: { authorization: `Bearer ${await gateway.token()}` },
  });
  const at = new Map<string, number>();
  let isSubscribed = false;
  socket.on('message', (data: Buffer) => {
    const now = performance.now();
    const value = JSON.parse(data.toString('utf8')) as unknown;
    for (const record of (Array.isArray(value) ? value : [value]) as readonly Record<string, unknown>[]) {
      if (record['type'] === 'subscription') isSubscribed = true;
      const key = `${String(record['symbol'])} ${String(record['timestamp'])}`;
      if (record['type'] === 'quote' && !at.has(key)) at.set(key, now);
    }
  });
  await new Promise((resolve) => socket.once('open', resolve));
  socket.send(JSON.stringify({ action: 'subscribe', quotes: symbols }));
  await eventually(() => isSubscribed && at.size > 0, 'quotes come');
  return { at, end: () => socket.terminate() };
}

async function crossing(doors: readonly Door[]): Promise<void> {
  const symbols = ['AAPL', 'MSFT', 'SPY', 'TSLA', 'NVDA', 'AMZN', 'QQQ'];
  const isHub = await Promise.all(
    doors.map(async ({ gateway }) =>
      (await (await fetch(`${gateway.adminUrl}/metrics`)).text()).includes(
        'opitios_market_data_stream_up{side="stock"} 1',
      ),
    ),
  );
  const holder = doors[isHub.indexOf(true)];
  const other = doors[isHub.indexOf(false)];
  if (holder === undefined || other === undefined) throw new TypeError('one holds the socket and another does not');
  // The later one to open is not favoured: two at the holder tell how far two clients of one instance differ.
  const clients = [
    await arrivals(holder.gateway, symbols),
    await arrivals(other.gateway, symbols),
    await arrivals(holder.gateway, symbols),
  ] as const;
  const from = performance.now();
  const before = cpuOfAll([other]);
  await sleep(seconds * 2_000);
  const cpu = (cpuOfAll([other]) - before) * 1e6;
  const lag = (at: Map<string, number>): number[] =>
    [...clients[0].at]
      .flatMap(([key, first]) => (first > from && at.has(key) ? [(at.get(key) ?? 0) - first] : []))
      .sort((a, b) => a - b);
  const told = (values: readonly number[]): string =>
    [0.5, 0.99].map((share) => (values[Math.floor(values.length * share)] ?? Number.NaN).toFixed(2)).join(' ms, p99 ');
  const across = lag(clients[1].at);
  console.log(`quote across instances: later by p50 ${told(across)} ms (${across.length} quotes)`);
  console.log(`second client of the holder: later by p50 ${told(lag(clients[2].at))} ms`);
  console.log(
    `instance that follows: ${(cpu / (seconds * 2)).toFixed(0)} us of CPU a second, ${(cpu / Math.max(1, across.length)).toFixed(0)} us a quote with its client and its idle cost`,
  );
  for (const { end } of clients) end();
}

async function throughput(count: number, known: Costs): Promise<Costs> {
  const instances = await startInstances(NAMES.slice(0, count), {
    accounts: ACCOUNTS,
    simulator: ['--ticks', '300', '--rate', '1000000', '--data-rate', '1000000'],
    config: { alpaca: LIMITS, market_data: { quote_max_age_ms: 60_000 } },
  });
  try {
    const doors = await doorsOf(instances);
    // Until each has the quote from a stream.
    for (const { gateway } of doors) {
      await eventually(async () => {
        for (let read = 0; read < 5; read += 1) await (await gateway.get('/stocks/quote/AAPL')).arrayBuffer();
        return (
          ((await (await gateway.get('/stocks/quote/AAPL')).json()) as { readonly source: string }).source === 'stream'
        );
      }, 'the quote is live');
    }
    const quiet = await idle(doors);
    console.log(`| ${count} | idle | | ${(quiet.cpu / 1_000).toFixed(1)} ms/s | ${quiet.mb.toFixed(0)} MB | |`);
    const kinds: readonly Kind[] =
      count === 1
        ? ['quote', 'read here', 'order here']
        : ['quote', 'read here', 'read there', 'order here', 'order there'];
    const questions = Object.fromEntries(kinds.map((kind) => [kind, () => kind]));
    const found = await compare(doors, quiet.cpu, { ...questions, mixed: (number) => mixed(number, count) });
    const { mixed: measured = Number.NaN, ...costs } = found as Costs & { readonly mixed?: number };
    const own = predicted(costs, count);
    const before =
      known.quote === undefined
        ? ''
        : `; by the figures of ${count - 1}: ${predicted({ ...costs, ...known }, count).toFixed(0)} us`;
    console.log(
      `mixed at ${count}: ${measured.toFixed(0)} us measured; ${own.toFixed(0)} us by its own parts${before}`,
    );
    if (count === 2) await crossing(doors);
    await Promise.all(doors.map(({ pool }) => pool.close()));
    return costs;
  } finally {
    await instances.stop();
  }
}

async function accountsCost(accounts: number): Promise<{ readonly cpu: number; readonly mb: number }> {
  const instances = await startInstances(NAMES.slice(0, 1), { accounts, config: { alpaca: LIMITS } });
  try {
    const doors = await doorsOf(instances);
    const isOpen = async (): Promise<boolean> =>
      (await instances.gateways[0]?.pool())?.accounts.filter(({ state }) => state === 'ready').length === accounts;
    await eventually(isOpen, 'every account is open', 120_000);
    const quiet = await idle(doors);
    console.log(
      `${accounts} idle accounts: ${(quiet.cpu / 1_000).toFixed(1)} ms of CPU a second, ${quiet.mb.toFixed(0)} MB`,
    );
    return quiet;
  } finally {
    await instances.stop();
  }
}

async function allThroughput(): Promise<void> {
  const how = `${ACCOUNTS} accounts, ${CONNECTIONS} requests in flight, ${seconds} s each`;
  console.log(`${how}; mixed is ${JSON.stringify(MIX)}`);
  console.log('| instances | kind | requests/s | CPU us/request | p50 ms | p99 ms |\n|---|---|---|---|---|---|');
  let costs: Costs = {};
  for (const count of [1, 2, 3]) costs = await throughput(count, costs);
  for (const [what, count] of unserved) console.log(`not served: ${what}, ${count} times`);
}

async function costOfAnAccount(few: number, many: number): Promise<void> {
  const [less, more] = [await accountsCost(few), await accountsCost(many)];
  const each = (a: number, b: number): number => (b - a) / Math.max(1, many - few);
  const kb = each(less.mb, more.mb) * 1_024;
  console.log(`an idle account: ${each(less.cpu, more.cpu).toFixed(0)} us of CPU a second, ${kb.toFixed(0)} KB`);
}

if (seconds > 0) await allThroughput();
if (accountCounts.length > 0) await costOfAnAccount(accountCounts[0] ?? 0, accountCounts.at(-1) ?? 0);
