/** Refusals over a real session to the simulated broker: what is final, what is about our keys, and what proves nothing. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { AccountAnswer } from '../../../src/kernel/domain/account-request.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { aDeskOn, type DeskOnSimulator, type DeskOnSimulatorOptions } from '../../support/desk-on-simulator.js';
import { eventually } from '../../support/eventually.js';
import { eventually as eventuallyTrue } from '../../support/gateway-process.js';
import { aContext, bodyOf, statusOf } from '../../support/order-desk.js';
import { Caller } from '../../support/simulator-caller.js';
import { aSimulator } from '../../support/simulator.js';

const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day' };
const POST_ORDER = { method: 'POST', path: '/v2/orders' };
const TAKEN = { status: 422, code: 40010001, message: 'client_order_id must be unique' };

let simulator: Simulator;
let gateway: DeskOnSimulator;
beforeEach(async () => {
  simulator = await aSimulator({ accounts: 1 });
  simulator.control.behave({ fills: 'manual' });
});
afterEach(async () => {
  await gateway.close();
  await simulator.close();
});

async function open(options: DeskOnSimulatorOptions = {}): Promise<void> {
  gateway = await aDeskOn(simulator, options);
}

function submit(idempotencyKey: string, more: Record<string, unknown> = {}): Promise<AccountAnswer> {
  const { accountId, desk } = gateway;
  const order = { ...ORDER, ...more };
  return desk.execute(
    { kind: 'submit-order', accountId, assetClass: 'stocks', order, idempotencyKey, dryRun: false },
    aContext(),
  );
}

function replace(
  target: { readonly orderId: string } | { readonly clientOrderId: string },
  changes: Record<string, unknown>,
): Promise<AccountAnswer> {
  const { accountId, desk } = gateway;
  return desk.execute({ kind: 'replace-order', accountId, ...target, changes, dryRun: false }, aContext());
}

const byAnotherProgram = (order: Record<string, unknown>) =>
  new Caller(simulator.endpoints.trading, simulator.accounts[0]!).post('/v2/orders', order);

test('a 422 of an id that cannot be found: after the quarantine the only attempt is refused as a collision', async () => {
  await open({ orders: { quarantineAfterMs: 1_000, answerDeadlineMs: 200 } });
  simulator.control.switchOn({ fault: { kind: 'status', ...TAKEN }, ...POST_ORDER, count: 1 });

  const first = await submit('k1');
  await eventually('it has an outcome', () => gateway.desk.openUnknown(gateway.accountId) === 0);
  const later = await submit('k1');

  expect(statusOf(first)).toBe(202);
  expect(later).toMatchObject({ kind: 'problem', problem: { code: 'client-order-id-collision', status: 422 } });
  expect(simulator.control.orders()).toHaveLength(0);
}, 20_000);

test('given up after the quarantine: the account goes on, the order is 202 still, and is adopted when it turns up', async () => {
  await open({ orders: { quarantineAfterMs: 1_000, answerDeadlineMs: 200 } });
  simulator.control.switchOn({ fault: { kind: 'late-acceptance', ms: 4_000, how: 'reset' }, ...POST_ORDER, count: 1 });

  const first = await submit('k1');
  await eventually('it is given up', () => gateway.desk.openUnknown(gateway.accountId) === 0);
  const meanwhile = [await submit('k2', { qty: '2' }), await submit('k1')].map(statusOf);
  await eventually('it turns up', () => simulator.control.orders().length === 2);
  await eventuallyTrue(async () => statusOf(await submit('k1')) === 201, 'it is known');

  expect([statusOf(first), ...meanwhile]).toEqual([202, 201, 202]);
  expect(simulator.control.orders()).toHaveLength(2);
}, 30_000);

test('a replacement refused for an id that cannot be found is refused at once, once the original shows no successor', async () => {
  await open();
  const { id } = bodyOf(await submit('k1'));
  simulator.control.switchOn({ fault: { kind: 'status', ...TAKEN }, method: 'PATCH', path: '/v2/orders/*' });

  const refused = await replace({ orderId: id }, { limit_price: '2', client_order_id: 'taken' });

  expect(refused).toMatchObject({ kind: 'problem', problem: { code: 'client-order-id-collision', status: 422 } });
  expect(simulator.control.order(id).status).toBe('new');
});

test('a PATCH with a taken client id on an order made elsewhere is the broker’s 422', async () => {
  await open();
  await byAnotherProgram({ ...ORDER, client_order_id: 'taken' });
  const original = await byAnotherProgram({ ...ORDER, qty: '2' });
  const { id } = original.body as { id: string };

  const refused = await replace({ orderId: id }, { limit_price: '2', client_order_id: 'taken' });

  expect(refused).toMatchObject({ kind: 'problem', problem: { status: 422 } });
  expect(simulator.control.order(id).status).toBe('new');
});

test('an order whose outcome is unknown cannot be replaced by its client order id: 409, and where to ask', async () => {
  await open({ orders: { answerDeadlineMs: 200 } });
  simulator.control.switchOn([
    { fault: { kind: 'late-acceptance', ms: 3_000, how: 'reset' }, ...POST_ORDER, count: 1 },
  ]);
  const { client_order_id: clientOrderId } = bodyOf(await submit('k1'));

  const refused = await replace({ clientOrderId }, { limit_price: '2' });
  await eventually('it is known', () => gateway.desk.openUnknown(gateway.accountId) === 0);
  const replaced = await replace({ clientOrderId }, { limit_price: '2' });

  expect(refused).toMatchObject({
    problem: {
      code: 'outcome-unknown-open',
      headers: { location: `/api/v1/accounts/${gateway.accountId}/orders/by-client-order-id/${clientOrderId}` },
    },
  });
  expect(statusOf(replaced)).toBe(200);
}, 20_000);

test('an original that cannot be read is not replaced: 503, and no PATCH leaves', async () => {
  await open();
  const original = await byAnotherProgram(ORDER);
  const { id } = original.body as { id: string };
  await eventually('it works', () => gateway.session.mirror.orderById(id) !== undefined);
  const other = id.replace(/.$/, (last) => (last === '0' ? '1' : '0'));
  simulator.control.switchOn({ fault: { kind: 'status', status: 500 }, method: 'GET', path: '/v2/orders/*' });

  const refused = await replace({ orderId: other }, { limit_price: '2' });

  expect(refused).toMatchObject({ problem: { code: 'order-not-sent', members: { reason: 'order' } } });
  expect(simulator.control.ledger({ method: 'PATCH' }).entries).toHaveLength(0);
});

test.each([
  ['a JSON 403 without a code', { status: 403, body: '{"message":"forbidden."}' }],
  ['a 401 without JSON', { status: 401, body: '<html></html>', contentType: 'text/html' }],
])('%s is about our keys: nothing final, and the same key works afterwards', async (_, fault) => {
  await open();
  simulator.control.switchOn({ fault: { kind: 'status', ...fault }, ...POST_ORDER, count: 1 });

  const refused = await submit('k1');
  await eventuallyTrue(async () => statusOf(await submit('k1')) === 201, 'the same key is taken');

  expect(statusOf(refused)).toBe('broker-credentials-refused');
  expect(simulator.control.orders()).toHaveLength(1);
});

test('a 403 that is a page proves nothing: the order that was taken is found', async () => {
  await open();
  const page = { status: 403, when: 'after', body: '<html>blocked</html>', contentType: 'text/html' } as const;
  simulator.control.switchOn({ fault: { kind: 'status', ...page }, ...POST_ORDER, count: 1 });

  const answer = await submit('k1');

  expect(statusOf(answer)).toBe(201);
  expect(simulator.control.orders()).toHaveLength(1);
});

test('a page with status 200 on a read is 502 broker-unreadable', async () => {
  await open();
  const page = { status: 200, body: '<html>maintenance</html>', contentType: 'text/html' };
  simulator.control.switchOn({ fault: { kind: 'status', ...page }, method: 'GET', path: '/v2/orders/*' });

  const read = await gateway.session.read(
    { resource: 'order', orderId: '7b08df51-c1ac-453c-99f9-323a5f075f0d', query: '' },
    { fresh: true },
    { deadlineMs: 2_000 },
  );

  expect(statusOf(read)).toBe('broker-unreadable');
});

test.each([
  ['in seconds', { retryAfter: 3 }, 3],
  ['as a date', { retryAfter: new Date(Date.now() + 20_000).toUTCString() }, 5],
  ['with X-RateLimit-Reset alone', { reset: 30 }, 5],
  ['with nothing', { reset: null }, 1],
])('a 429 %s: Retry-After says when calls of the account go out again', async (_, limited, least) => {
  await open();
  simulator.control.switchOn({ fault: { kind: 'rate-limited', ...limited }, ...POST_ORDER, count: 1 });

  const refused = await submit('k1');
  // Its deadline is shorter than most of these times: then it is refused at once, with the time that is left.
  const next = await submit('k2');

  const secondsOf = (answer: AccountAnswer): number =>
    answer.kind === 'problem' ? (answer.problem.retryAfterS ?? 0) : 0;
  expect(refused).toMatchObject({ problem: { code: 'order-not-sent', members: { reason: 'throttled' } } });
  expect(secondsOf(refused)).toBeGreaterThanOrEqual(least);
  expect(secondsOf(refused)).toBeLessThanOrEqual(66);
  const wentOut = statusOf(next) === 201 || statusOf(next) === 202;
  expect(wentOut || secondsOf(refused) - secondsOf(next) <= 1).toBe(true);
  expect(secondsOf(next) - secondsOf(refused)).toBeLessThanOrEqual(1);
});

test('a cancel that the broker answers with 429 alone was not carried out: 503 order-not-sent, and the order works', async () => {
  await open();
  const { id } = bodyOf(await submit('k1'));
  const { accountId, desk } = gateway;
  const fault = { kind: 'status', status: 429, message: 'too many requests', headers: { 'retry-after': '1' } } as const;
  const throttle = simulator.control.switchOn({ fault, method: 'DELETE', path: '/v2/orders*' });
  const cancel = { kind: 'cancel-order', accountId, orderId: id, dryRun: false } as const;

  const refused = await desk.execute(cancel, aContext());
  for (const switchId of throttle) simulator.control.switchOff(switchId);
  await eventuallyTrue(async () => statusOf(await desk.execute(cancel, aContext())) === 204, 'the cancel is taken');

  expect(refused).toMatchObject({ problem: { code: 'order-not-sent', members: { reason: 'throttled' } } });
  expect(simulator.control.order(id).status).toBe('canceled');
}, 60_000);

test('a cancel whose answer is lost before a 429 is not called not sent', async () => {
  await open();
  const { id } = bodyOf(await submit('k1'));
  const { accountId, desk } = gateway;
  const path = { method: 'DELETE', path: '/v2/orders/*' };
  simulator.control.switchOn({ fault: { kind: 'answer-lost', how: '504', when: 'before' }, ...path, count: 1 });
  simulator.control.switchOn({
    fault: { kind: 'status', status: 429, headers: { 'retry-after': '0' } },
    ...path,
    skip: 1,
  });

  const answer = await desk.execute({ kind: 'cancel-order', accountId, orderId: id, dryRun: false }, aContext());

  expect(statusOf(answer)).toBe(202);
}, 60_000);

test('a replacement that turns up after its 422 was passed on is published', async () => {
  await open();
  const { id } = bodyOf(await submit('k1'));
  const events: { readonly event: string; readonly data: string }[] = [];
  gateway.desk.onOrderEvent((event) => events.push(event));
  const refusal = { status: 422, code: 40010001, message: 'order is not in a replaceable state' };
  simulator.control.switchOn({
    fault: { kind: 'status', ...refusal },
    method: 'PATCH',
    path: '/v2/orders/*',
    count: 1,
  });

  const refused = await replace({ orderId: id }, { limit_price: '2' });
  const caller = new Caller(simulator.endpoints.trading, simulator.accounts[0]!);
  const late = (await caller.call('PATCH', `/v2/orders/${id}`, { limit_price: '2' })).body as { readonly id: string };

  await eventually('the replacement is published', () =>
    events.some(({ event, data }) => event === 'new' && data.includes(late.id)),
  );
  expect(refused).toMatchObject({ problem: { code: 'venue-rejected', status: 422 } });
  expect(events.some(({ event, data }) => event === 'replaced' && data.includes(id))).toBe(true);
});
