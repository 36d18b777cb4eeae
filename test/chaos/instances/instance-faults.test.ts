/**
 * RELIABILITY F21 to F23 and lost instances, under load: the broker's own ledger is the witness. The long form
 * (`npm run chaos -- instance-faults`) repeats each fault; OPITIOS_CYCLES says how often.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, restartGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { fallingEpochs, startInstances, type Instances } from '../../support/instances.js';
import { OrderLoad, percentiles, tell } from '../../support/order-load.js';
import { hasRedis } from '../../support/redis-process.js';

const isLong = process.env['OPITIOS_LONG'] === '1';
const whenLong = hasRedis() && isLong ? test : test.skip;
const CYCLES = Number(process.env['OPITIOS_CYCLES'] ?? 50);
const CALLERS = 4;
/** Paces the load: at most so many orders a cycle. */
const ORDERS_A_CYCLE = 60;
let probes = 0;
let firstPrice = 1;
let instances: Instances | undefined;

beforeAll(async () => {
  if (hasRedis() && isLong) instances = await startInstances(['alpha', 'beta'], { accounts: 12 });
}, 120_000);

afterAll(async () => {
  await instances?.stop();
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
  const isFair = pools.every((pool) => pool?.leases?.unowned_slots === 0 && pool.leases.members.length === 2);
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

async function underLoad(fault: string, cycle: () => Promise<number | undefined>): Promise<void> {
  const times: number[] = [];
  await eventually(isWhole, 'whole before', 60_000);
  const before = (await all().sent()).length;
  const running = await load();
  // The book shows a duplicate by its price, so no two loads may share any.
  running.firstPrice = firstPrice;
  firstPrice += CYCLES;
  running.start(CALLERS, CYCLES * ORDERS_A_CYCLE);
  for (let n = 0; n < CYCLES; n += 1) {
    const took = await cycle();
    if (took !== undefined) times.push(took);
    await eventually(isWhole, `whole after cycle ${n}`, 90_000);
  }
  await running.settle(120_000);
  const verdict = await running.judge();
  const sent = (await all().sent()).slice(before);
  const falls = fallingEpochs(sent);
  const timing = times.length > 0 ? `, trading again after ${percentiles(times)}` : '';
  tell(
    `${fault}: ${CYCLES} cycles, ${verdict.orders} orders, ${verdict.duplicates.length} duplicates, ` +
      `${verdict.lost.length} lost, ${verdict.lies.length} lies, ${falls.length} falling epochs of ${sent.length} sent${timing}`,
  );
  expect(verdict.duplicates).toEqual([]);
  expect(verdict.lost).toEqual([]);
  expect(verdict.lies).toEqual([]);
  expect(falls).toEqual([]);
}

const held = async (name: string): Promise<string> =>
  (await all().named(name).pool()).accounts[0]?.account_id ?? all().named(name).accountIds[0] ?? '';

whenLong(
  'an instance that is killed under load',
  () =>
    underLoad('kill -9 of an instance', async () => {
      const beta = all().named('beta');
      const accountId = await held('beta');
      const startedAt = performance.now();
      await all().signal('beta', 'SIGKILL');
      const took = await takeOver(accountId, all().named('alpha'), startedAt);
      all().replace('beta', await restartGateway(beta));
      return took;
    }),
  7_200_000,
);

whenLong(
  'F22: an instance that is stopped past its lease under load, and goes on',
  () =>
    underLoad('SIGSTOP of an instance', async () => {
      const accountId = await held('beta');
      const startedAt = performance.now();
      await all().signal('beta', 'SIGSTOP');
      const took = await takeOver(accountId, all().named('alpha'), startedAt);
      await sleep(Number(process.env['OPITIOS_STOP_MS'] ?? 30_000));
      await all().signal('beta', 'SIGCONT');
      return took;
    }),
  7_200_000,
);

whenLong(
  'F21: a Redis that does not answer for longer than a lease, under load',
  () =>
    underLoad('Redis stopped', async () => {
      all().redis.pause();
      await sleep(5_000);
      all().redis.resume();
      const startedAt = performance.now();
      return takeOver(await held('beta'), all().named('alpha'), startedAt);
    }),
  7_200_000,
);

whenLong(
  'F23: a Redis that loses everything under load',
  () =>
    underLoad('Redis emptied', async () => {
      await all().redis.restartEmpty();
      const startedAt = performance.now();
      return takeOver(await held('beta'), all().named('alpha'), startedAt);
    }),
  7_200_000,
);
