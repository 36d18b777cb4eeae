/** Orders that the broker took and whose answers were lost, through a whole gateway: all resolved, none doubled. */
import { afterEach, expect, test } from '@jest/globals';
import { LOST_AFTER_ACCEPT, type Switch } from '../../src/simulator/faults/fault.js';
import { startGateway, type GatewayProcess } from '../support/gateway-process.js';
import { OrderLoad, percentiles, tell } from '../support/order-load.js';

const IS_LONG = process.env['OPITIOS_LONG'] === '1';
const ACCOUNTS = 8;
const CALLERS = IS_LONG ? 64 : 32;
const LATE_MS = IS_LONG ? [100, 1_000, 5_000, 30_000] : [100, 1_000, 3_000];
const LAG_MS = IS_LONG ? [0, 500, 2_000, 10_000] : [0, 500, 2_000];
const PATIENCE_MS = IS_LONG ? 3_600_000 : 180_000;

let gateway: GatewayProcess | undefined;
afterEach(() => gateway?.stop(), 60_000);

const orders = { method: 'POST', path: '/v2/orders' };

async function begin(policy: string, switches: readonly Switch[]): Promise<OrderLoad> {
  gateway = await startGateway({
    ...{ accounts: ACCOUNTS, workers: 2 },
    simulator: ['--rate', '100000', '--fills', 'manual', '--cash', '1000000000'],
    config: {
      orders: { ambiguous: policy, answer_deadline_ms: 1_000 },
      alpaca: { rate_limit_per_minute: 100_000, request_timeout_ms: 2_000 },
    },
  });
  await gateway.simulator.control.switchOn([...switches, { fault: { kind: 'stream-lose' } }]);
  return OrderLoad.on(gateway);
}

async function allResolved(name: string, load: OrderLoad, count: number): Promise<void> {
  load.start(CALLERS, count);
  await load.finish(PATIENCE_MS);
  const replays = await load.replayAll();
  const { duplicates, lost, lies, ...figures } = await load.judge();
  const times = load.orders.flatMap(({ settledMs }) => (settledMs === undefined ? [] : [settledMs]));
  tell(`${name}: ${JSON.stringify(figures)}, ${times.length} resolved, ${percentiles(times)} to resolution`);
  expect({ duplicates, lost, lies, replays }).toEqual({ duplicates: [], lost: [], lies: [], replays: [] });
  expect([figures.orders, figures.atBroker, times.length]).toEqual([count, count, count]);
}

test(
  'orders whose answers are lost in eight ways are all resolved and sent once',
  async () => {
    // Each account has a way of its own; each lookup lag is met by a part of the orders of every account.
    const ways = LOST_AFTER_ACCEPT.map((how, n): Switch => ({
      ...{ fault: { kind: 'answer-lost', how }, accounts: [`account_00${n + 1}`], ...orders },
    }));
    const lags = LAG_MS.map((ms): Switch => ({ fault: { kind: 'lookup-lag', ms }, probability: 0.3, ...orders }));
    const load = await begin('reconcile_only', [...lags, ...ways]);
    const count = IS_LONG ? 10_000 : 160;
    await allResolved('lost answers', load, count);
    const { entries } = (await gateway?.simulator.control.ledger({ method: 'POST', path: '/v2/orders' })) ?? {};
    expect(entries?.length).toBe(count);
  },
  PATIENCE_MS + 120_000,
);

test(
  'orders that arrive late while the second attempt is told 403 or duplicate are told to nobody as refused',
  async () => {
    const late = LATE_MS.map((ms, n): Switch => ({
      ...{ fault: { kind: 'late-acceptance', ms, how: n % 2 === 0 ? 'reset' : '502' } },
      ...{ accounts: [`account_00${n + 1}`], ...orders },
    }));
    const refused = ['account_005', 'account_006'].map((account, n): Switch => ({
      ...{ fault: { kind: 'lookup-lag', ms: LAG_MS.at(-1) ?? 0 }, accounts: [account], ...orders, attemptFrom: n + 1 },
    }));
    const second: Switch = {
      fault: { kind: 'status', status: 403, code: 40_310_000, message: 'insufficient buying power' },
      ...{ accounts: ['account_005', 'account_006'], attemptFrom: 2, ...orders },
    };
    const lost: Switch = {
      fault: { kind: 'answer-lost', how: 'reset' },
      ...{ accounts: ['account_005', 'account_006', 'account_007', 'account_008'], ...orders },
    };
    const load = await begin('resubmit_same_id', [...late, ...refused, second, lost]);
    await allResolved('late arrivals', load, IS_LONG ? 2_000 : 64);
  },
  PATIENCE_MS + 120_000,
);
