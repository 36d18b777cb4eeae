/** The whole order path over real sockets against a broker that takes the order and loses the answer, in every way. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { LOST_AFTER_ACCEPT } from '../../../src/simulator/faults/fault.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { aDeskOn, type DeskOnSimulator, type DeskOnSimulatorOptions } from '../../support/desk-on-simulator.js';
import { eventually } from '../../support/eventually.js';
import { aContext, anOrder, bodyOf, statusOf } from '../../support/order-desk.js';
import { aSimulator } from '../../support/simulator.js';

const POST_ORDER = { method: 'POST', path: '/v2/orders' };
let simulator: Simulator;
let opened: DeskOnSimulator[] = [];

beforeEach(async () => {
  simulator = await aSimulator({ accounts: 1 });
});
afterEach(async () => {
  for (const each of opened) await each.close();
  opened = [];
  await simulator.close();
});

async function open(options: DeskOnSimulatorOptions = {}): Promise<DeskOnSimulator> {
  const desk = await aDeskOn(simulator, options);
  opened.push(desk);
  return desk;
}

function submit({ desk, accountId }: DeskOnSimulator, order: Record<string, unknown>, idempotencyKey: string) {
  return desk.execute(
    { kind: 'submit-order', accountId, assetClass: 'stocks', order, idempotencyKey, dryRun: false },
    aContext(),
  );
}

const anUnfilled = (more: Record<string, unknown> = {}) => anOrder({ limit_price: '1.00', qty: '1', ...more });

test.each(LOST_AFTER_ACCEPT)('twenty orders whose answer is lost by %s are each found, each once', async (how) => {
  const gateway = await open({ attemptDeadlineMs: 1_000 });
  simulator.control.switchOn({ fault: { kind: 'answer-lost', how }, ...POST_ORDER });

  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, number) =>
      submit(gateway, anUnfilled({ qty: String(number + 1) }), `key-${number}`),
    ),
  );

  expect(answers.map(statusOf)).toEqual(Array.from({ length: 20 }, () => 201));
  expect(new Set(answers.map((answer) => bodyOf(answer).id)).size).toBe(20);
  expect(simulator.control.orders()).toHaveLength(20);
});

test('an order that the broker takes only after its connection died is reported, not placed twice', async () => {
  const gateway = await open({ orders: { answerDeadlineMs: 200 } });
  simulator.control.switchOn({ fault: { kind: 'late-acceptance', ms: 1_500, how: 'reset' }, ...POST_ORDER, count: 1 });

  const told = await submit(gateway, anUnfilled(), 'k1');
  const { client_order_id: clientOrderId } = bodyOf(told);
  const meanwhile = gateway.desk.lookup(gateway.accountId, clientOrderId);
  await eventually('the order is known', () => gateway.desk.openUnknown(gateway.accountId) === 0);
  const later = await submit(gateway, anUnfilled(), 'k1');

  expect([statusOf(told), meanwhile === undefined ? undefined : statusOf(meanwhile), statusOf(later)]).toEqual([
    202, 202, 201,
  ]);
  expect(simulator.control.orders({ clientOrderId })).toHaveLength(1);
});

test('while lookups lag behind, the caller is told unknown and then the truth', async () => {
  const gateway = await open({ orders: { answerDeadlineMs: 300 } });
  simulator.control.switchOn([
    { fault: { kind: 'stream-lose' } },
    { fault: { kind: 'lookup-lag', ms: 1_000 }, ...POST_ORDER },
    { fault: { kind: 'answer-lost', how: 'reset' }, ...POST_ORDER },
  ]);

  const told = await submit(gateway, anUnfilled(), 'k1');
  await eventually('the order is known', () => gateway.desk.openUnknown(gateway.accountId) === 0);
  const later = await submit(gateway, anUnfilled(), 'k1');

  expect([statusOf(told), statusOf(later)]).toEqual([202, 201]);
  expect(simulator.control.orders()).toHaveLength(1);
});

test('a successor in another slot finds the order that its former owner lost, before it answers the key again', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'opitios-desk-'));
  const former = await open({ dataDir, orders: { answerDeadlineMs: 100 } });
  simulator.control.switchOn([
    { fault: { kind: 'stream-lose' } },
    { fault: { kind: 'lookup-lag', ms: 1_500 }, ...POST_ORDER },
    { fault: { kind: 'answer-lost', how: 'reset' }, ...POST_ORDER, count: 1 },
  ]);
  const told = await submit(former, anUnfilled(), 'k1');
  await former.close();
  opened = [];

  const successor = await open({ dataDir, slot: 2, epoch: 2 });
  await eventually('the order is known', () => successor.desk.openUnknown(successor.accountId) === 0);
  const later = await submit(successor, anUnfilled(), 'k1');

  expect([statusOf(told), statusOf(later)]).toEqual([202, 201]);
  expect(later.kind === 'answer' && later.headers['idempotency-replayed']).toBe('true');
  expect(simulator.control.orders()).toHaveLength(1);
  await successor.close();
  opened = [];
  rmSync(dataDir, { recursive: true, force: true });
});

test('an owner without the former one’s disk adopts the order under the same id; for another request it refuses', async () => {
  const former = await open();
  const first = await submit(former, anUnfilled({ client_order_id: 'mine' }), 'k1');

  const foreign = await open({ epoch: 2 });
  const same = await submit(foreign, anUnfilled({ client_order_id: 'mine' }), 'k1');
  const third = await open({ epoch: 3 });
  const other = await submit(third, anUnfilled({ client_order_id: 'mine', qty: '7' }), 'k1');

  expect(bodyOf(same).id).toBe(bodyOf(first).id);
  expect(statusOf(other)).toBe('client-order-id-collision');
  expect(simulator.control.orders()).toHaveLength(1);
});

test('every fill is numbered and audited once, and closing the position sells what is held', async () => {
  const gateway = await open();
  const events: string[] = [];
  gateway.desk.onOrderEvent(({ event }) => events.push(event));

  await submit(gateway, { symbol: 'AAPL', side: 'buy', type: 'market', time_in_force: 'day', qty: '3' }, 'k1');
  await eventually('the order is filled', () => gateway.session.mirror.position('AAPL')?.['qty'] === '3');
  const closed = await gateway.desk.execute(
    { kind: 'close-position', accountId: gateway.accountId, symbol: 'AAPL', percentage: '33.4', dryRun: false },
    aContext(),
  );
  await eventually('both fills are told', () => events.filter((event) => event === 'fill').length === 2);
  const trail = await gateway.desk.execute(
    { kind: 'read-audit', accountId: gateway.accountId, query: { kinds: 'fill' } },
    aContext(),
  );

  expect(bodyOf(closed)).toMatchObject({ symbol: 'AAPL', side: 'sell', qty: '1' });
  expect(bodyOf(trail).records.length).toBeGreaterThanOrEqual(1);
});
