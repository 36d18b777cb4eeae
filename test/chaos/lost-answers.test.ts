/**
 * Orders that the broker took and whose answers were lost, through a whole gateway: all resolved, none doubled. Times
 * are a caller's: from its first request to the 201, however often it had to ask again.
 */
import { afterEach, expect, test } from '@jest/globals';
import { LOST_AFTER_ACCEPT, type Switch } from '../../src/simulator/faults/fault.js';
import { startGateway, type GatewayProcess } from '../support/gateway-process.js';
import { OrderLoad, percentiles, tell, type KeyedOrder } from '../support/order-load.js';

const IS_LONG = process.env['OPITIOS_LONG'] === '1';
const ACCOUNTS = 8;
const CALLERS = IS_LONG ? 64 : 32;
const LATE_MS = IS_LONG ? [100, 1_000, 5_000, 30_000] : [100, 500, 1_000, 3_000];
const LAG_MS = IS_LONG ? [0, 500, 2_000, 10_000] : [0, 500, 2_000];
const PATIENCE_MS = IS_LONG ? 1_800_000 : 180_000;
/** Of each test: `OPITIOS_ORDERS=2500` for a part of the long form. */
const LOST = Number(process.env['OPITIOS_ORDERS'] ?? (IS_LONG ? 10_000 : 160));
const LATE = Number(process.env['OPITIOS_ORDERS'] ?? (IS_LONG ? 2_000 : 64));

let gateway: GatewayProcess | undefined;
afterEach(() => gateway?.stop(), 60_000);

const orders = { method: 'POST', path: '/v2/orders' };
const streamsLose: Switch = { fault: { kind: 'stream-lose' } };

/** Each account has a way of its own. */
const ways = LOST_AFTER_ACCEPT.map((how, n): Switch => ({
  ...{ fault: { kind: 'answer-lost', how }, accounts: [`account_00${n + 1}`], ...orders },
}));
const lag = (ms: number, probability = 1): Switch => ({ fault: { kind: 'lookup-lag', ms }, probability, ...orders });

async function begin(policy: string): Promise<GatewayProcess> {
  gateway = await startGateway({
    ...{ accounts: ACCOUNTS, workers: 2 },
    simulator: ['--rate', '100000', '--fills', 'manual', '--cash', '1000000000'],
    config: {
      orders: { ambiguous: policy, answer_deadline_ms: 1_000 },
      alpaca: { rate_limit_per_minute: 100_000, request_timeout_ms: 2_000 },
    },
  });
  return gateway;
}

const timesOf = (told: readonly KeyedOrder[]): readonly number[] =>
  told.flatMap(({ settledMs }) => (settledMs === undefined ? [] : [settledMs]));

async function place(name: string, load: OrderLoad, [callers, count]: readonly [number, number]): Promise<void> {
  const before = load.orders.length;
  load.start(callers, before + count);
  await load.finish(PATIENCE_MS);
  const told = load.orders.slice(before);
  const times = timesOf(told);
  tell(`${name}: ${callers} callers, ${count} orders, ${times.length} resolved, ${percentiles(times)} to resolution`);
}

async function allResolved(name: string, load: OrderLoad, count: number): Promise<void> {
  const replays = await load.replayAll();
  const { duplicates, lost, lies, ...figures } = await load.judge();
  const wrong = `${duplicates.length} duplicates, ${lost.length} lost, ${lies.length} lies`;
  tell(`${name}: ${JSON.stringify(figures)}, ${timesOf(load.orders).length} resolved, ${wrong}`);
  expect({ duplicates, lost, lies, replays }).toEqual({ duplicates: [], lost: [], lies: [], replays: [] });
  expect([figures.orders, figures.atBroker, timesOf(load.orders).length]).toEqual([count, count, count]);
}

test(
  'orders whose answers are lost in eight ways are all resolved and sent once',
  async () => {
    const started = await begin('reconcile_only');
    const { simulator } = started;
    const load = await OrderLoad.on(started);
    // Each lookup lag is met by a part of the orders of every account.
    const lags = LAG_MS.map((ms) => lag(ms, 0.3));
    const part = (share: number): number => Math.round(LOST * share);
    // Few callers where times are told: they are to show the search, not a queue before it.
    const scenes: readonly (readonly [string, readonly [number, number], readonly Switch[]])[] = [
      ['lost answers, stream up, lookups lag 0.5 s', [8, part(0.4)], [lag(500), ...ways]],
      ['lost answers, stream silent, lookups lag 0.5 s', [16, part(0.3)], [lag(500), ...ways, streamsLose]],
      [
        `lost answers, stream silent, lookups lag ${LAG_MS.join(', ')} ms`,
        [CALLERS, LOST - part(0.4) - part(0.3)],
        [...lags, ...ways, streamsLose],
      ],
    ];
    for (const [name, size, switches] of scenes) {
      await simulator.control.switchOff();
      await simulator.control.switchOn([...switches]);
      await place(name, load, size);
    }
    await allResolved('lost answers', load, LOST);
    const posts = await simulator.control.ledger({ method: 'POST', path: '/v2/orders', limit: 2 * LOST });
    expect(posts.entries.length).toBe(LOST);
  },
  PATIENCE_MS + 120_000,
);

test(
  'orders that arrive late while the second attempt is told 403 or duplicate are told to nobody as refused',
  async () => {
    const started = await begin('resubmit_same_id');
    const { simulator } = started;
    const load = await OrderLoad.on(started);
    const second = (accounts: readonly number[], status: number, code: number, message: string): Switch => ({
      fault: { kind: 'status', status, code, message },
      ...{ accounts: accounts.map((n) => `account_00${n}`), attemptFrom: 2, ...orders },
    });
    // The first four arrive late, the second attempt of three of them is refused before the first has arrived.
    const late = LATE_MS.map((ms, n): Switch => ({
      fault: { kind: 'late-acceptance', ms, how: n % 2 === 0 ? 'reset' : '502' },
      ...{ accounts: [`account_00${n + 1}`], ...orders },
    }));
    // The others are taken at once and not shown for long: a true duplicate, or a refusal of the second attempt.
    const hidden = [5, 6, 7, 8].map((n): Switch => ({ ...lag(LAG_MS.at(-1) ?? 0), accounts: [`account_00${n}`] }));
    const lost: Switch = {
      fault: { kind: 'answer-lost', how: 'reset' },
      ...{ accounts: ['account_005', 'account_006', 'account_007', 'account_008'], ...orders },
    };
    await simulator.control.switchOn([
      second([2, 4, 5, 6], 403, 40_310_000, 'insufficient buying power'),
      second([3], 422, 40_010_001, 'client_order_id must be unique'),
      ...[...late, ...hidden, lost, streamsLose],
    ]);
    await place(`late arrivals ${LATE_MS.join(', ')} ms, lookups lag ${LAG_MS.at(-1) ?? 0} ms`, load, [CALLERS, LATE]);
    await allResolved('late arrivals', load, LATE);
  },
  PATIENCE_MS + 120_000,
);
