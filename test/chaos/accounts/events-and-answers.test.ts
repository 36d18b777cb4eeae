/** Answers and events race: whichever comes first, an order moves forward, and reads show what a caller was answered. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { AccountAnswer } from '../../../src/kernel/domain/account-request.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { RESTING } from '../../support/broker-accounts.js';
import { aDeskOn, type DeskOnSimulator } from '../../support/desk-on-simulator.js';
import { eventually } from '../../support/gateway-process.js';
import { aContext, bodyOf, statusOf } from '../../support/order-desk.js';
import { aSimulator } from '../../support/simulator.js';

let simulator: Simulator;
let gateway: DeskOnSimulator;
beforeEach(async () => {
  simulator = await aSimulator({ accounts: 1 });
  simulator.control.behave({ fills: 'manual' });
  gateway = await aDeskOn(simulator);
});
afterEach(async () => {
  await gateway.close();
  await simulator.close();
});

function submit(n: number): Promise<AccountAnswer> {
  const { accountId, desk } = gateway;
  const order = { ...RESTING, client_order_id: `c-${n}` };
  return desk.execute({ kind: 'submit-order', accountId, assetClass: 'stocks', order, dryRun: false }, aContext());
}

const read = (resource: { readonly resource: 'order'; readonly orderId: string; readonly query: '' }) =>
  gateway.session.read(resource, { fresh: false }, { deadlineMs: 2_000 });

const openOrders = async (): Promise<readonly { readonly status: string }[]> =>
  bodyOf(
    await gateway.session.read({ resource: 'orders', query: 'status=open' }, { fresh: false }, { deadlineMs: 2_000 }),
  ) as never;

test.each([0, 2, 5, 20])('events %i ms after the answer: no resting order goes back to pending_new', async (delay) => {
  simulator.control.behave({ eventDelayMs: delay });

  for (let n = 0; n < 20; n += 1) await submit(n);
  await eventually(
    () => gateway.session.mirror.openOrders().every(({ status }) => status === 'new'),
    'every order is new',
  );

  expect(gateway.session.mirror.openOrders().length).toBe(20);
});

test('an answer 20 ms after its event: no resting order goes back to pending_new', async () => {
  simulator.control.switchOn({
    fault: { kind: 'latency', ms: 20, when: 'after' },
    method: 'POST',
    path: '/v2/orders',
  });

  for (let n = 0; n < 10; n += 1) await submit(n);

  const shown = gateway.session.mirror.openOrders().map(({ status }) => status);
  expect(shown).toEqual(Array.from({ length: 10 }, () => 'new'));
});

test('DELETE 204, then GET, with its event late: the order is not shown as new', async () => {
  const { id } = bodyOf(await submit(1));
  await eventually(() => gateway.session.mirror.orderById(id)?.['status'] === 'new', 'it works');
  simulator.control.behave({ eventDelayMs: 1_000 });
  const { accountId, desk } = gateway;

  const canceled = await desk.execute({ kind: 'cancel-order', accountId, orderId: id, dryRun: false }, aContext());
  const shown = await read({ resource: 'order', orderId: id, query: '' });

  expect(statusOf(canceled)).toBe(204);
  expect(['canceled', 'pending_cancel']).toContain(bodyOf(shown)['status']);
});

test('PATCH 200, then the list of open orders, with its event late: one order', async () => {
  const { id } = bodyOf(await submit(1));
  await eventually(() => gateway.session.mirror.orderById(id)?.['status'] === 'new', 'it works');
  simulator.control.behave({ eventDelayMs: 1_000, cancelMs: 0 });
  const { accountId, desk } = gateway;

  const replaced = await desk.execute(
    { kind: 'replace-order', accountId, orderId: id, changes: { limit_price: '6' }, dryRun: false },
    aContext(),
  );
  await eventually(async () => (await openOrders()).length === 1, 'one order is shown');

  expect(statusOf(replaced)).toBe(200);
});
