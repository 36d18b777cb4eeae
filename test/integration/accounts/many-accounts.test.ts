/** Many accounts on one pool, and one account at its limit. */
import { afterEach, expect, test } from '@jest/globals';
import type { Simulator, SimulatorOptions } from '../../../src/simulator/simulator.js';
import type { BrokerSession } from '../../../src/workers/accounts/broker-session.js';
import {
  answered,
  BrokerAccounts,
  postOrder,
  RESTING,
  type BrokerAccountsOptions,
} from '../../support/broker-accounts.js';
import { eventually } from '../../support/eventually.js';
import { GapFlow } from '../../support/gap-flow.js';
import { aRandom } from '../../support/random.js';
import { aSimulator } from '../../support/simulator.js';

let simulator: Simulator;
let accounts: BrokerAccounts;

afterEach(async () => {
  await accounts.close();
  await simulator.close();
});

async function begin(options: SimulatorOptions, accountsOptions: BrokerAccountsOptions): Promise<void> {
  simulator = await aSimulator({ behaviour: { fills: 'manual' }, startingCash: '100000000', ...options });
  accounts = new BrokerAccounts(simulator, accountsOptions);
}

test('10,000 reads over 200 accounts open no connection after the pool is warm', async () => {
  const budget = { limitPerMinute: 100_000 };
  await begin({ accounts: 200, ledger: { entriesMax: 1 } }, { pool: { connections: 32 }, budget });
  const { apiKey, secretKey } = accounts.keys();
  const headers = { 'APCA-API-KEY-ID': apiKey, 'APCA-API-SECRET-KEY': secretKey };
  await accounts.pool.warm({ path: '/v2/clock', headers, deadlineMs: 5_000 });
  const sessions = simulator.accounts.map((keys) => accounts.session(keys));
  const before = simulator.control.counters().connections.opened;

  const read = async (session: BrokerSession): Promise<boolean> => {
    const answer = answered(await session.read({ resource: 'account' }, { fresh: true }, { deadlineMs: 20_000 }));
    return answer.source === 'broker';
  };
  const rounds = sessions.map(async (session) => {
    let good = 0;
    for (let round = 0; round < 50; round += 1) if (await read(session)) good += 1;
    return good;
  });
  const good = (await Promise.all(rounds)).reduce((sum, count) => sum + count, 0);

  expect(good).toBe(10_000);
  expect(before).toBe(32);
  expect(simulator.control.counters().connections.opened).toBe(before);
}, 60_000);

test('F10: reads that use up an account’s share hold back neither orders nor cancels, and the broker refuses nothing', async () => {
  await begin({ requestsPerMinute: 100 }, { budget: { limitPerMinute: 100 } });
  await roomInMinute();
  const session = accounts.session();
  const options = { deadlineMs: 100 };
  const reads = Array.from({ length: 150 }, () => session.read({ resource: 'account' }, { fresh: true }, options));
  const ids: string[] = [];
  for (let order = 0; order < 10; order += 1) {
    const reply = await session.send(postOrder(RESTING));
    if (reply.kind !== 'answered') throw new TypeError(`not answered: ${reply.detail}`);
    ids.push((JSON.parse(Buffer.from(reply.body).toString()) as { id: string }).id);
  }
  const cancels = await Promise.all(
    ids.map((id) => session.send({ method: 'DELETE', path: `/v2/orders/${id}`, lane: 'cancel', deadlineMs: 5_000 })),
  );
  const problems = (await Promise.all(reads)).flatMap((one) => (one.kind === 'problem' ? [one.problem] : []));

  expect(cancels.map((reply) => reply.kind === 'answered' && reply.status)).toEqual(Array(10).fill(204));
  expect(problems.length).toBeGreaterThan(0);
  expect(problems.every(({ code }) => code === 'rate-limited' || code === 'broker-timeout')).toBe(true);
  expect(problems.some(({ retryAfterS }) => (retryAfterS ?? 0) >= 1)).toBe(true);
  expect(simulator.control.counters().rateLimited).toBe(0);
}, 60_000);

/** The simulator's windows are wall-clock minutes: a test that spans two would count in two. */
async function roomInMinute(): Promise<void> {
  const isLate = (): boolean => new Date().getSeconds() > 50;
  await eventually('a new minute', () => !isLate(), 15_000);
}

test('lists from the mirror are the broker’s, order by order, for whatever filter', async () => {
  await begin({}, { budget: { limitPerMinute: 100_000 } });
  const { session, heard } = await accounts.started();
  const random = aRandom(23);
  const flow = new GapFlow(simulator, 0, random);
  const filters: readonly (readonly string[])[] = [
    ['', 'status=open', 'status=closed'],
    ['', 'limit=1', 'limit=2', 'limit=500', 'limit=0', 'limit=abc'],
    ['', 'direction=asc', 'direction=desc', 'direction=up'],
    ['', 'symbols=AAPL', 'symbols=MSFT,AAPL', 'symbols=aapl', 'symbols='],
    ['', 'side=buy', 'side=sell'],
    ['', 'nested=true', 'nested=false'],
  ];
  const options = { deadlineMs: 5_000 };
  let mirrored = 0;
  for (let round = 0; round < 120; round += 1) {
    await flow.act(1);
    await eventually('the flow is heard', () => flow.isWhole(heard) && isSettled(session));
    const query = filters
      .map((some) => random.pick(some))
      .filter((text) => text !== '')
      .join('&');
    const ours = await session.read({ resource: 'orders', query }, { fresh: false }, options);
    const theirs = await session.read({ resource: 'orders', query }, { fresh: true }, options);
    expect([query, ours.kind]).toEqual([query, theirs.kind]);
    if (ours.kind !== 'answer' || theirs.kind !== 'answer') continue;
    if (answered(ours).source === 'mirror') mirrored += 1;
    expect([query, named(answered(ours).json)]).toEqual([query, named(answered(theirs).json)]);
  }
  expect(mirrored).toBeGreaterThan(10);
}, 60_000);

/** No order is on its way from one state to the next. */
function isSettled(session: BrokerSession): boolean {
  const truth = simulator.control.orders().filter(({ status }) => !['canceled', 'replaced', 'filled'].includes(status));
  return (
    truth.length === session.mirror.openOrders().length &&
    truth.every(({ id, status, filled_qty: sum }) => {
      const ours = session.mirror.orderById(id);
      const isResting = status === 'new' || status === 'partially_filled';
      return isResting && ours?.['status'] === status && ours['filled_qty'] === sum;
    })
  );
}

function named(list: readonly Record<string, unknown>[]): unknown {
  return list.map((order) => ({ ...order, cancel_requested_at: null }));
}
