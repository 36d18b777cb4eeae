/**
 * Lost, stopped and cut-off instances and a store that is silent or empty, under load: the broker's own ledger is the
 * witness. The long form (`npm run chaos -- instance-faults`) has all faults; OPITIOS_CYCLES says how often each.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { slotOf } from '../../../src/kernel/ipc/instances.js';
import { EPOCHS_A_LEASE } from '../../../src/primary/leases/epoch.js';
import { eventually, restartGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { callerOf } from '../../support/gateway-orders.js';
import { fallingEpochs, startInstances, type Instances, type SentOrder } from '../../support/instances.js';
import { OrderLoad, percentiles, tell } from '../../support/order-load.js';
import { openGate, type TcpGate } from '../../support/tcp-gate.js';
import { hasRedis } from '../../support/redis-process.js';

const isLong = process.env['OPITIOS_LONG'] === '1';
const whenRedis = hasRedis() ? test : test.skip;
const CYCLES = Number(process.env['OPITIOS_CYCLES'] ?? (isLong ? 50 : 1));
/** After a fault nothing of an old lease may reach the broker: its time to live, and what is on the wire by then. */
const LEASE_MS = 3_000;
const SETTLE_MS = 120_000;
const CALLERS = 4;
/** Paces the load: at most so many orders a cycle. */
const ORDERS_A_CYCLE = 60;
/** The default of cluster.redis.slots. */
const SLOTS = 64;
let probes = 0;
let firstPrice = 1;
let instances: Instances | undefined;
/** Between beta and the store. */
let gate: TcpGate | undefined;

beforeAll(async () => {
  if (!hasRedis()) return;
  instances = await startInstances(['alpha', 'beta'], {
    accounts: 12,
    // An account whose minute is spent would look like one that nobody took over.
    simulator: ['--rate', '100000'],
    config: { alpaca: { rate_limit_per_minute: 100_000 } },
    redisOf: async (name, redis) => {
      if (name !== 'beta') return {};
      gate ??= await openGate(redis.port);
      return { url: `redis://127.0.0.1:${gate.port}` };
    },
  });
}, 120_000);

afterAll(async () => {
  await instances?.stop();
  await gate?.close();
}, 120_000);

function all(): Instances {
  if (instances === undefined) throw new TypeError('the instances did not start');
  return instances;
}

/** Half the keys go to each instance at first, and every repetition to the next one. */
async function load(): Promise<OrderLoad> {
  const running = await OrderLoad.on(all().named('alpha'));
  let turn = 0;
  running.nextUrl = () => all().named((turn += 1) % 2 === 0 ? 'alpha' : 'beta').url;
  return running;
}

async function isWhole(): Promise<boolean> {
  const pools = await Promise.all(
    ['alpha', 'beta'].map((name) =>
      all()
        .named(name)
        .pool()
        .catch(() => undefined),
    ),
  );
  const held = pools.flatMap((pool) => pool?.accounts.filter(({ state }) => state === 'ready') ?? []);
  // One that has come back has its share only when the other has let go of it.
  const isFair = pools.every(
    (pool) =>
      pool?.leases?.unowned_slots === 0 &&
      pool.leases.members.length === 2 &&
      pool.accounts.some(({ state }) => state === 'ready'),
  );
  return isFair && held.length === all().named('alpha').accountIds.length;
}

/** From the fault until an order of an account of the lost instance is taken again. */
async function takeOver(accountId: string, from: GatewayProcess, startedAt: number): Promise<number> {
  const authorization = `Bearer ${await from.token()}`;
  await eventually(
    async () => {
      const response = await fetch(`${from.url}/api/v1/accounts/${accountId}/orders/stocks`, {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify({
          symbol: 'MSFT',
          qty: '1',
          side: 'buy',
          type: 'limit',
          time_in_force: 'day',
          limit_price: (300 + (probes += 1) / 100).toFixed(2),
        }),
        signal: AbortSignal.timeout(15_000),
      }).catch(() => undefined);
      await response?.arrayBuffer();
      return response?.status === 201;
    },
    'the account trades again',
    60_000,
  );
  return performance.now() - startedAt;
}

/** What one cycle saw. `stale`: orders at the broker that nobody had the right to send. */
interface Seen {
  readonly tookMs: number;
  readonly stale: readonly SentOrder[];
}

async function underLoad(fault: string, cycle: () => Promise<Seen>): Promise<void> {
  const seen: Seen[] = [];
  await eventually(isWhole, 'whole before', 60_000);
  const before = (await all().sent()).length;
  const running = await load();
  // The book shows a duplicate by its price, so no two loads may share any.
  running.firstPrice = firstPrice;
  firstPrice += CYCLES;
  running.start(CALLERS, CYCLES * ORDERS_A_CYCLE);
  for (let n = 0; n < CYCLES; n += 1) {
    seen.push(await cycle());
    await eventually(isWhole, `whole after cycle ${n}`, 90_000);
  }
  await running.settle(SETTLE_MS);
  const verdict = await running.judge();
  const sent = (await all().sent()).slice(before);
  const falls = fallingEpochs(sent);
  const stale = seen.flatMap((one) => one.stale);
  const times = seen.map(({ tookMs }) => Math.round(tookMs));
  tell(
    `${fault}: ${CYCLES} cycles, ${verdict.orders} orders, ${verdict.duplicates.length} duplicates, ` +
      `${verdict.lost.length} lost, ${verdict.lies.length} lies, ${falls.length} falling epochs of ${sent.length} sent, ` +
      `${stale.length} of a stale owner, trading again after ${percentiles(times)} (${times.join(' ')})`,
  );
  expect(verdict.duplicates).toEqual([]);
  expect(verdict.lost).toEqual([]);
  expect(verdict.lies).toEqual([]);
  expect(falls).toEqual([]);
  expect(stale).toEqual([]);
}

async function held(name: string): Promise<string> {
  const { accounts } = await all().named(name).pool();
  const found = accounts.find(({ state }) => state === 'ready')?.account_id;
  if (found === undefined) throw new TypeError(`${name} holds no account`);
  return found;
}

const sentBetween = async (from: number, to: number): Promise<readonly SentOrder[]> =>
  (await all().sent()).filter(({ at }) => at > from && at < to);

/** The epochs of beta's leases, each with the room that orders under it may use. */
async function epochsOfBeta(): Promise<(order: SentOrder) => boolean> {
  const slots = (await all().named('beta').pool()).leases?.slots ?? [];
  const epochs = new Map(slots.map(({ slot, epoch }) => [slot, epoch]));
  return ({ accountId, epoch }) => {
    const first = epochs.get(slotOf(accountId, SLOTS));
    return first !== undefined && epoch >= first && epoch < first + EPOCHS_A_LEASE;
  };
}

async function killed(): Promise<Seen> {
  const beta = all().named('beta');
  const accountId = await held('beta');
  const isOfBeta = await epochsOfBeta();
  const [startedAt, wall] = [performance.now(), Date.now()];
  await all().signal('beta', 'SIGKILL');
  const tookMs = await takeOver(accountId, all().named('alpha'), startedAt);
  const stale = (await sentBetween(wall + LEASE_MS, Infinity)).filter(isOfBeta);
  all().replace('beta', await restartGateway(beta));
  return { tookMs, stale };
}

async function stopped(): Promise<Seen> {
  const accountId = await held('beta');
  const isOfBeta = await epochsOfBeta();
  const [startedAt, wall] = [performance.now(), Date.now()];
  await all().signal('beta', 'SIGSTOP');
  const tookMs = await takeOver(accountId, all().named('alpha'), startedAt);
  await sleep(Math.max(0, Number(process.env['OPITIOS_STOP_MS'] ?? 30_000) - tookMs));
  await all().signal('beta', 'SIGCONT');
  await eventually(isWhole, 'it takes its share again', 90_000);
  return { tookMs, stale: (await sentBetween(wall + LEASE_MS, Infinity)).filter(isOfBeta) };
}

async function cutOff(): Promise<Seen> {
  const accountId = await held('beta');
  const isOfBeta = await epochsOfBeta();
  const [startedAt, wall] = [performance.now(), Date.now()];
  gate?.cut();
  // Until its lease is over it trades on, and rightly so.
  await sleep(LEASE_MS);
  const tookMs = await takeOver(accountId, all().named('alpha'), startedAt);
  gate?.heal();
  await eventually(isWhole, 'it takes its share again', 90_000);
  return { tookMs, stale: (await sentBetween(wall + LEASE_MS, Infinity)).filter(isOfBeta) };
}

async function silentStore(): Promise<Seen> {
  const wall = Date.now();
  all().redis.pause();
  await sleep(6_000);
  const [startedAt, resumed] = [performance.now(), Date.now()];
  all().redis.resume();
  const tookMs = await takeOver(await held('beta'), all().named('alpha'), startedAt);
  return { tookMs, stale: await sentBetween(wall + LEASE_MS, resumed) };
}

async function emptiedStore(): Promise<Seen> {
  await all().redis.restartEmpty();
  const startedAt = performance.now();
  return { tookMs: await takeOver(await held('beta'), all().named('alpha'), startedAt), stale: [] };
}

const faults: readonly (readonly [string, () => Promise<Seen>])[] = [
  ['kill -9 of an instance', killed],
  ['a store that lost everything', emptiedStore],
  ...(isLong
    ? ([
        ['SIGSTOP of an instance past its lease', stopped],
        ['an instance that is cut off from the store', cutOff],
        ['a store that is silent for longer than a lease', silentStore],
      ] as const)
    : []),
];

for (const [name, cycle] of faults)
  whenRedis(`${name}, under load, costs no order, no second one and no epoch`, () => underLoad(name, cycle), 7_200_000);

/** At the desks themselves, as the pools tell it. */
async function isEverywhere(state: string): Promise<boolean> {
  const pools = await Promise.all(['alpha', 'beta'].map((name) => all().named(name).pool()));
  const accounts = pools.flatMap((pool) => pool.accounts);
  return accounts.length === 12 && accounts.every((account) => account.trading_state === state);
}

if (isLong)
  whenRedis(
    'a halt at one instance is in force at every account of every instance within a second',
    async () => {
      await eventually(isWhole, 'whole before', 60_000);
      const [alpha, beta] = [await callerOf(all().named('alpha')), await callerOf(all().named('beta'))];
      const times: number[] = [];
      for (let n = 0; n < CYCLES; n += 1) {
        const call = n % 2 === 0 ? alpha : beta;
        for (const [path, state] of [
          ['/admin/halt', 'HALTED'],
          ['/admin/resume', 'ACTIVE'],
        ] as const) {
          const startedAt = performance.now();
          expect((await call('POST', path, { reason: 'a drill' })).json['instances_told']).toBe(true);
          await eventually(() => isEverywhere(state), `${state} everywhere`, 20_000);
          times.push(performance.now() - startedAt);
        }
      }
      tell(`halts and resumes: ${times.length}, in force everywhere after ${percentiles(times)}`);
    },
    3_600_000,
  );
