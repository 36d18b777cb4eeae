/** Closing positions over a real session to the simulated broker, with its events late and its reads behind. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { AccountAnswer } from '../../../src/kernel/domain/account-request.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { aDeskOn, type DeskOnSimulator } from '../../support/desk-on-simulator.js';
import { eventually } from '../../support/eventually.js';
import { eventually as eventuallyTrue } from '../../support/gateway-process.js';
import { aContext, bodyOf, statusOf } from '../../support/order-desk.js';
import { Caller } from '../../support/simulator-caller.js';
import { aSimulator } from '../../support/simulator.js';

let simulator: Simulator;
let gateway: DeskOnSimulator;
beforeEach(async () => {
  simulator = await aSimulator();
});
afterEach(async () => {
  await gateway.close();
  await simulator.close();
});

async function holding(positions: Readonly<Record<string, string>>): Promise<void> {
  const accountId = simulator.accounts[0]?.accountId ?? '';
  for (const [symbol, qty] of Object.entries(positions)) simulator.control.setPosition(accountId, symbol, qty, '100');
  gateway = await aDeskOn(simulator);
}

function close(
  symbol: string,
  part: { readonly qty?: string; readonly percentage?: string } = {},
): Promise<AccountAnswer> {
  const { accountId } = gateway;
  return gateway.desk.execute({ kind: 'close-position', accountId, symbol, dryRun: false, ...part }, aContext());
}

/** Shares sold at the broker. */
const sold = (): number =>
  simulator.control
    .executions(gateway.accountId)
    .reduce((sum, { qty, side }) => sum + (side === 'sell' ? Number(qty) : 0), 0);
const calm = (): Promise<void> =>
  eventually('no order works', () =>
    simulator.control
      .orders({ accountId: gateway.accountId })
      .every(({ status }) => ['filled', 'canceled', 'rejected', 'expired'].includes(status)),
  );

test('events 150 ms late: closing twice in a row never sells twice', async () => {
  simulator.control.behave({ eventDelayMs: 150, positionsLagMs: 1_000 });
  await holding({ MSFT: '100' });

  const first = await close('MSFT');
  const second = await close('MSFT');
  const third = await close('msft');
  await calm();

  expect(statusOf(first)).toBe(201);
  expect(['close-in-progress', 'not-found']).toContain(statusOf(second));
  expect(['close-in-progress', 'not-found']).toContain(statusOf(third));
  expect(sold()).toBe(100);
}, 20_000);

test('closing twice at once, by symbol and by asset id, sells once', async () => {
  simulator.control.behave({ eventDelayMs: 150, positionsLagMs: 1_000 });
  await holding({ MSFT: '100' });
  const assetId = String(gateway.session.mirror.position('MSFT')?.['asset_id']);

  const answers = await Promise.all([close('MSFT'), close('MSFT'), close(assetId), close(assetId.toUpperCase())]);
  await calm();

  expect(answers.map(statusOf).filter((status) => status === 201)).toHaveLength(1);
  expect(sold()).toBe(100);
}, 20_000);

test('`percentage=50` twice sells 75 percent at most, although reads are behind', async () => {
  simulator.control.behave({ eventDelayMs: 150, positionsLagMs: 1_000 });
  await holding({ MSFT: '100' });

  const first = await close('MSFT', { percentage: '50' });
  await calm();
  const second = await close('MSFT', { percentage: '50' });
  await calm();

  expect([statusOf(first), [201, 'close-in-progress'].includes(statusOf(second))]).toEqual([201, true]);
  expect(sold()).toBeLessThanOrEqual(75);
}, 20_000);

test('after a split without an event, closing sells what the broker holds', async () => {
  await holding({ MSFT: '100' });
  simulator.control.splitPosition(gateway.accountId, 'MSFT', '2');

  expect(bodyOf(await close('MSFT'))).toMatchObject({
    symbol: 'MSFT',
    side: 'sell',
    qty: '200',
    position_intent: 'sell_to_close',
  });
});

test('33 percent of 10 whole shares are 3, and a position with fractions is cut at nine decimals', async () => {
  await holding({ MSFT: '10', AAPL: '2.5' });

  expect(bodyOf(await close('MSFT', { percentage: '33' })).qty).toBe('3');
  expect(bodyOf(await close('AAPL', { percentage: '33.3' })).qty).toBe('0.8325');
});

test('a pair is closed at once after its fill, good till canceled, by either spelling', async () => {
  await holding({});
  const buy = { symbol: 'SOL/USD', qty: '5', side: 'buy', type: 'market', time_in_force: 'gtc' };
  const { accountId, desk } = gateway;
  await desk.execute({ kind: 'submit-order', accountId, assetClass: 'stocks', order: buy, dryRun: false }, aContext());
  await eventually('it is filled', () => simulator.control.executions(accountId).length === 1);

  const closed = await close('SOLUSD');

  expect(bodyOf(closed)).toMatchObject({ symbol: 'SOL/USD', side: 'sell', qty: '5', time_in_force: 'gtc' });
  await calm();
  expect(sold()).toBe(5);
}, 20_000);

test('what a working order holds is not closed: the rest is, and then the refusal names what is free', async () => {
  simulator.control.behave({ fills: 'manual' });
  await holding({ MSFT: '10' });
  const { accountId, desk } = gateway;
  const exit = { symbol: 'MSFT', qty: '8', side: 'sell', type: 'limit', limit_price: '9000', time_in_force: 'gtc' };
  await desk.execute({ kind: 'submit-order', accountId, assetClass: 'stocks', order: exit, dryRun: false }, aContext());

  expect(await close('MSFT', { qty: '5' })).toMatchObject({
    problem: { code: 'position-held', members: { qty: '10', available: '2' } },
  });
  expect(bodyOf(await close('MSFT')).qty).toBe('2');
});

test('closing all answers an item a position; with cancel_orders what orders held is free', async () => {
  simulator.control.behave({ fills: 'manual' });
  await holding({ MSFT: '10', AAPL: '3' });
  const { accountId, desk } = gateway;
  const exit = { symbol: 'MSFT', qty: '10', side: 'sell', type: 'limit', limit_price: '9000', time_in_force: 'gtc' };
  await desk.execute({ kind: 'submit-order', accountId, assetClass: 'stocks', order: exit, dryRun: false }, aContext());
  const closeAll = (cancelOrders: boolean): Promise<AccountAnswer> =>
    desk.execute({ kind: 'close-all-positions', accountId, cancelOrders, dryRun: false }, aContext());

  const held = await closeAll(false);
  const free = await closeAll(true);

  expect(statusOf(held)).toBe(207);
  expect(bodyOf(held)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ symbol: 'MSFT', status: 403, body: expect.objectContaining({ available: '0' }) }),
      expect.objectContaining({ symbol: 'AAPL', status: 201 }),
    ]),
  );
  expect(bodyOf(free)).toContainEqual(expect.objectContaining({ symbol: 'MSFT', status: 201 }));
}, 20_000);

test('closing all with cancel_orders names what a cancel that does not end still holds', async () => {
  simulator.control.behave({ fills: 'manual' });
  await holding({ MSFT: '10', AAPL: '3' });
  const { accountId, desk } = gateway;
  const exit = { symbol: 'MSFT', qty: '10', side: 'sell', type: 'limit', limit_price: '9000', time_in_force: 'gtc' };
  await desk.execute({ kind: 'submit-order', accountId, assetClass: 'stocks', order: exit, dryRun: false }, aContext());
  // The broker takes the cancel and does not carry it out.
  simulator.control.switchOn({
    fault: { kind: 'status', status: 207, when: 'before', body: '[]', contentType: 'application/json' },
    method: 'DELETE',
    path: '/v2/orders*',
  });

  const answer = await desk.execute(
    { kind: 'close-all-positions', accountId, cancelOrders: true, dryRun: false },
    aContext(),
  );

  expect(statusOf(answer)).toBe(207);
  expect(bodyOf(answer)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ symbol: 'MSFT', status: 403, body: expect.objectContaining({ available: '0' }) }),
      expect.objectContaining({ symbol: 'AAPL', status: 201 }),
    ]),
  );
}, 30_000);

test('the broker refuses our keys for a while: 503, nothing final, and the same key works afterwards', async () => {
  await holding({});
  const { accountId, desk } = gateway;
  const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day' };
  const submit = (): Promise<AccountAnswer> =>
    desk.execute(
      { kind: 'submit-order', accountId, assetClass: 'stocks', order, idempotencyKey: 'k1', dryRun: false },
      aContext(),
    );
  const refuse = simulator.control.switchOn({
    fault: { kind: 'status', status: 401, body: '{"message":"unauthorized."}' },
  });

  const refused = await submit();
  const read = await gateway.session.read({ resource: 'account' }, { fresh: true }, { deadlineMs: 2_000 });
  simulator.control.switchOff(refuse[0]);

  expect(statusOf(refused)).toBe('broker-credentials-refused');
  expect(['broker-credentials-refused', 'account-unavailable']).toContain(statusOf(read));
  await eventuallyTrue(async () => statusOf(await submit()) === 201, 'the same key is taken');
  expect(simulator.control.orders()).toHaveLength(1);
}, 30_000);

test('an order that meets 504 is canceled by its client order id, once it is known', async () => {
  simulator.control.behave({ fills: 'manual' });
  await holding({});
  const { accountId, desk } = gateway;
  const order = {
    symbol: 'AAPL',
    qty: '1',
    side: 'buy',
    type: 'limit',
    limit_price: '1',
    time_in_force: 'day',
    client_order_id: 'mine',
  };
  simulator.control.switchOn([
    { fault: { kind: 'answer-lost', how: '504' }, method: 'POST', path: '/v2/orders', count: 1 },
    { fault: { kind: 'stream-lose' } },
    { fault: { kind: 'status', status: 500 }, method: 'GET', path: '/v2/orders*', count: 30 },
  ]);

  const submitted = await desk.execute(
    { kind: 'submit-order', accountId, assetClass: 'stocks', order, dryRun: false },
    aContext(),
  );
  const canceled = await desk.execute(
    { kind: 'cancel-order', accountId, clientOrderId: 'mine', dryRun: false },
    aContext(),
  );
  simulator.control.switchOff();

  expect([statusOf(submitted), statusOf(canceled)]).toEqual([202, 202]);
  await eventually('it is canceled', () => simulator.control.orders()[0]?.status === 'canceled', 30_000);
}, 40_000);

test('a replacement whose client order id is taken is refused with the broker’s 422 and changes nothing', async () => {
  simulator.control.behave({ fills: 'manual' });
  await holding({});
  const { accountId, desk } = gateway;
  const submit = (own: string): Promise<AccountAnswer> =>
    desk.execute(
      {
        ...{ kind: 'submit-order', accountId, assetClass: 'stocks', dryRun: false },
        order: {
          symbol: 'AAPL',
          qty: '1',
          side: 'buy',
          type: 'limit',
          limit_price: '1',
          time_in_force: 'day',
          client_order_id: own,
        },
      },
      aContext(),
    );
  const first = bodyOf(await submit('first'));
  const other = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day' };
  await new Caller(simulator.endpoints.trading, simulator.accounts[0]!).post('/v2/orders', {
    ...other,
    client_order_id: 'taken',
  });
  await eventually('it works', () => simulator.control.order(first.id).status === 'new');

  const changed = await desk.execute(
    {
      kind: 'replace-order',
      accountId,
      orderId: first.id,
      changes: { limit_price: '2', client_order_id: 'taken' },
      dryRun: false,
    },
    aContext(),
  );

  expect(changed).toMatchObject({ kind: 'problem', problem: { code: 'client-order-id-collision', status: 422 } });
  expect(simulator.control.order(first.id).status).toBe('new');
}, 20_000);

test('a client order id that is another order’s broker id does not name that order', async () => {
  simulator.control.behave({ fills: 'manual' });
  await holding({});
  const { accountId, desk } = gateway;
  const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day' };
  const place = (own: object): Promise<AccountAnswer> =>
    desk.execute(
      { kind: 'submit-order', accountId, assetClass: 'stocks', order: { ...order, ...own }, dryRun: false },
      aContext(),
    );
  const parent = bodyOf(await place({}));
  const child = bodyOf(await place({ client_order_id: parent.id }));

  await desk.execute({ kind: 'cancel-order', accountId, orderId: parent.id, dryRun: false }, aContext());

  await eventually('the parent is canceled', () => simulator.control.order(parent.id).status === 'canceled');
  expect(simulator.control.order(child.id).status).toBe('new');
}, 20_000);

test('the stream brings nothing and reads are behind: closing again and again sells once', async () => {
  simulator.control.behave({ positionsLagMs: 1_500 });
  await holding({ MSFT: '100' });
  simulator.control.switchOn({ fault: { kind: 'stream-lose' } });

  const answers = [await close('MSFT')];
  for (let again = 0; again < 4; again += 1)
    answers.push(await close('MSFT'), await close('MSFT', { percentage: '50' }));
  await calm();

  expect(answers.map(statusOf).filter((status) => status === 201)).toHaveLength(1);
  expect(sold()).toBe(100);
}, 40_000);

test('a close whose answer is lost blocks its own instrument only, and sells once', async () => {
  simulator.control.behave({ eventDelayMs: 150, positionsLagMs: 500 });
  await holding({ MSFT: '100', AAPL: '3' });
  simulator.control.switchOn([
    { fault: { kind: 'stream-lose' } },
    { fault: { kind: 'answer-lost', how: '504' }, method: 'POST', path: '/v2/orders', count: 1 },
    { fault: { kind: 'status', status: 500 }, method: 'GET', path: '/v2/orders*' },
  ]);

  const lost = await close('MSFT');
  const again = await close('MSFT');
  const other = await close('AAPL');
  simulator.control.switchOff();
  await calm();

  expect([lost, again, other].map(statusOf)).toEqual([202, 'close-in-progress', 201]);
  expect(again).toMatchObject({
    problem: { members: { state: 'unknown', client_order_id: bodyOf(lost).client_order_id } },
  });
  expect(sold()).toBe(103);
}, 40_000);

test('sells and closes of one position at once never sell more than there is', async () => {
  simulator.control.behave({ eventDelayMs: 150, positionsLagMs: 1_000 });
  await holding({ MSFT: '10' });
  const { accountId, desk } = gateway;
  const sell = { symbol: 'MSFT', qty: '6', side: 'sell', type: 'market', time_in_force: 'day' };
  const submit = (): Promise<AccountAnswer> =>
    desk.execute({ kind: 'submit-order', accountId, assetClass: 'stocks', order: sell, dryRun: false }, aContext());

  await submit();
  await Promise.all([close('MSFT'), close('MSFT', { percentage: '100' }), close('msft', { qty: '4' })]);
  await close('MSFT');
  await calm();

  expect(sold()).toBeLessThanOrEqual(10);
}, 40_000);
