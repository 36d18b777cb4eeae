/**
 * F13, I8 of docs/order-protocol.md: trade streams that drop while orders fill, end and are replaced. Every execution
 * and every end is told once. `npm run chaos -- stream-gaps` runs the long version.
 */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { StreamFault } from '../../../src/simulator/faults/fault.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import type { TradeUpdate } from '../../../src/workers/accounts/account-session.js';
import type { BrokerSession } from '../../../src/workers/accounts/broker-session.js';
import { BrokerAccounts } from '../../support/broker-accounts.js';
import { eventually } from '../../support/eventually.js';
import { GapFlow } from '../../support/gap-flow.js';
import { aRandom } from '../../support/random.js';
import { aSimulator } from '../../support/simulator.js';
import type { BrokerObject } from '../../../src/workers/accounts/mirrored.js';
import { fillsOf, isFill } from '../../../src/workers/accounts/trade-updates.js';

const IS_LONG = process.env['OPITIOS_LONG'] === '1';
const GAPS = IS_LONG ? 500 : 40;
const TIME_LIMIT_MS = IS_LONG ? 900_000 : 60_000;

let simulator: Simulator;
let accounts: BrokerAccounts;

beforeEach(async () => {
  simulator = await aSimulator({ behaviour: { fills: 'manual' }, startingCash: '100000000' });
  accounts = new BrokerAccounts(simulator, { budget: { limitPerMinute: 100_000 }, pingIntervalMs: 100 });
});
afterEach(async () => {
  await accounts.close();
  await simulator.close();
});

const isReady = (session: BrokerSession) => () => session.state() === 'ready';

test(
  `every execution and every end is told once over ${GAPS} gaps`,
  async () => {
    const random = aRandom(11);
    const { session, heard } = await accounts.started();
    const flow = new GapFlow(simulator, 0, random);
    for (let gap = 0; gap < GAPS; gap += 1) {
      await flow.act(random.below(4));
      simulator.control.dropStreams([flow.accountId], random.below(2) === 0);
      await eventually('the session noticed', () => session.state() !== 'ready');
      // Trading goes on while the stream is away, while it comes back and while the gap is being read.
      await flow.act(1 + random.below(6));
      await eventually('the session is ready', isReady(session));
    }
    await flow.act(3);
    await eventually('nothing is missing', () => flow.isWhole(heard)).catch(() => undefined);

    flow.verify(heard);
    expect(risingSums(heard)).toBe(true);
    expect(heard.some(({ reconciled }) => reconciled)).toBe(true);
    expect(heard.some(({ reconciled }) => !reconciled)).toBe(true);
  },
  TIME_LIMIT_MS,
);

test.each<StreamFault>([{ kind: 'stream-duplicate' }, { kind: 'stream-reorder' }])(
  'events that come by $kind pass once each',
  async (fault) => {
    const { heard } = await accounts.started();
    const flow = new GapFlow(simulator, 0, aRandom(3));
    const on = simulator.control.switchOn({ fault });

    await flow.act(40);
    simulator.control.switchOff(on[0]);
    await flow.act(6);
    await eventually('nothing is missing', () => flow.isWhole(heard)).catch(() => undefined);

    flow.verify(heard);
  },
);

test('F14: a mute stream is noticed by its pings, and what it kept is told', async () => {
  const { session, heard } = await accounts.started();
  const flow = new GapFlow(simulator, 0, aRandom(5));
  await flow.act(4);
  const on = simulator.control.switchOn({ fault: { kind: 'stream-mute' } });
  await flow.act(10);

  await eventually('it is noticed', () => session.state() !== 'ready');
  simulator.control.switchOff(on[0]);
  await eventually('the session is ready', isReady(session));
  await eventually('nothing is missing', () => flow.isWhole(heard)).catch(() => undefined);

  flow.verify(heard);
});

test('an order whose end the desk has read while the stream was away is still told to end', async () => {
  const { session, heard } = await accounts.started();
  const flow = new GapFlow(simulator, 0, aRandom(1));
  await flow.act(1);
  await eventually('it works', () => heard.some(({ event }) => event === 'new'));
  const id = simulator.control.orders()[0]?.id ?? '';
  const refuse = simulator.control.switchOn({ path: '/stream', fault: { kind: 'stream-refuse', status: 503 } });
  simulator.control.dropStreams([flow.accountId]);
  await eventually('the session noticed', () => session.state() === 'degraded');
  session.noteOrder(simulator.control.cancel(id));

  simulator.control.switchOff(refuse[0]);
  await eventually('the session is ready', isReady(session));

  expect(heard.filter(({ event }) => event === 'canceled')).toMatchObject([{ reconciled: true, order: { id } }]);
});

test('a session that takes over tells what its predecessor did not', async () => {
  const first = await accounts.started();
  const flow = new GapFlow(simulator, 0, aRandom(9));
  await flow.act(12);
  await eventually('nothing is missing', () => flow.isWhole(first.heard));
  await first.session.close();
  await flow.act(12);
  const told = new Map(first.heard.map(({ event, order }) => [String(order['id']), event]));
  const fills = first.heard
    .filter(({ event }) => isFill(event))
    .flatMap(({ data, order, timestamp }) => fillsOf(JSON.parse(data) as BrokerObject, order, timestamp));

  const second = await accounts.started(accounts.keys(), {
    lastEventAt: first.heard.at(-1)?.timestamp ?? '',
    fills,
    working: [],
    lastEventOf: (orderId) => told.get(orderId),
  });

  flow.verify([...first.heard, ...second.heard]);
});

test('a fresh account is not told its past', async () => {
  const flow = new GapFlow(simulator, 0, aRandom(2));
  await flow.act(20);

  const { session, heard } = await accounts.started();

  expect(session.state()).toBe('ready');
  expect(heard).toEqual([]);
  expect(session.mirror.openOrders().length).toBeGreaterThan(0);
});

/** The sum after each fill of an order is larger than the one before. */
function risingSums(heard: readonly TradeUpdate[]): boolean {
  const shares = new Map<string, number>();
  return heard
    .filter(({ event, reconciled }) => !reconciled && (event === 'fill' || event === 'partial_fill'))
    .every(({ order }) => {
      const [id, sum] = [String(order['id']), Number(order['filled_qty'])];
      const isMore = sum > (shares.get(id) ?? 0);
      shares.set(id, sum);
      return isMore;
    });
}
