import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { AccountRead } from '../../../src/kernel/domain/account-request.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { answered, BrokerAccounts, BUY, postOrder, RESTING } from '../../support/broker-accounts.js';
import { eventually } from '../../support/eventually.js';
import { aSimulator } from '../../support/simulator.js';

let simulator: Simulator;
let accounts: BrokerAccounts;

beforeEach(async () => {
  simulator = await aSimulator();
  accounts = new BrokerAccounts(simulator);
});
afterEach(async () => {
  await accounts.close();
  await simulator.close();
});

const CACHED = { fresh: false } as const;
const FRESH = { fresh: true } as const;
const SOON = { deadlineMs: 5_000 };

test('a session becomes ready, sends an order and tells its fill once', async () => {
  const { session, heard } = await accounts.started();

  const reply = await session.send(postOrder({ ...BUY, client_order_id: 'first' }));
  await eventually('the fill is heard', () => heard.some(({ event }) => event === 'fill'));

  expect(session.state()).toBe('ready');
  expect(reply).toMatchObject({ kind: 'answered', status: 200 });
  expect(heard.map(({ event, reconciled }) => [event, reconciled])).toEqual([
    ['pending_new', false],
    ['new', false],
    ['fill', false],
  ]);
  expect(session.mirror.orderByClientOrderId('first')).toMatchObject({ status: 'filled', filled_qty: '10' });
  expect(session.report()).toMatchObject({ state: 'ready', streamConnected: true });
});

test('every resource comes from the mirror or the broker, with the bytes of the broker', async () => {
  simulator.control.setPosition(accounts.keys().accountId, 'AAPL', '7', '100');
  const { session, heard } = await accounts.started();
  const reply = await session.send(postOrder({ ...RESTING, client_order_id: 'rests' }));
  if (reply.kind !== 'answered') throw new TypeError('not answered');
  const { id } = JSON.parse(Buffer.from(reply.body).toString()) as { id: string };
  await eventually('new is heard', () => heard.some(({ event }) => event === 'new'));
  const reads: readonly [AccountRead, string][] = [
    [{ resource: 'account' }, 'mirror'],
    [{ resource: 'positions' }, 'mirror'],
    [{ resource: 'position', symbol: 'AAPL' }, 'mirror'],
    [{ resource: 'orders', query: '' }, 'mirror'],
    [{ resource: 'orders', query: 'status=all' }, 'broker'],
    [{ resource: 'order', orderId: id, query: '' }, 'mirror'],
    [{ resource: 'order-by-client-order-id', clientOrderId: 'rests' }, 'mirror'],
    [{ resource: 'activities', query: '' }, 'broker'],
    [{ resource: 'portfolio-history', query: '' }, 'broker'],
  ];
  // The account's values were read before the order took its buying power.
  await session.read({ resource: 'account' }, FRESH, SOON);
  await session.read({ resource: 'positions' }, FRESH, SOON);

  for (const [read, source] of reads) {
    const cached = answered(await session.read(read, CACHED, SOON));
    const fresh = answered(await session.read(read, FRESH, SOON));
    expect([read.resource, cached.source, fresh.source]).toEqual([read.resource, source, 'broker']);
    if (read.resource.startsWith('order')) {
      // The stream's order objects carry `cancel_requested_at`, REST's do not.
      expect(withoutStreamOnly(cached.json)).toEqual(withoutStreamOnly(fresh.json));
    } else expect(cached.text).toBe(fresh.text);
    expect(cached.age).toBeLessThanOrEqual(1);
  }
});

function withoutStreamOnly(found: object): unknown {
  return JSON.parse(
    JSON.stringify(found, (name, value: unknown) => (name === 'cancel_requested_at' ? undefined : value)),
  );
}

test('a caller that allows no age is answered by the broker', async () => {
  const { session } = await accounts.started();

  const answer = answered(await session.read({ resource: 'account' }, { fresh: false, maxAgeMs: 0 }, SOON));

  expect(answer).toMatchObject({ source: 'broker', age: 0 });
});

test('an order that was noted is read back before the stream has told of it', async () => {
  const { session } = await accounts.started();
  simulator.control.switchOn({ fault: { kind: 'stream-hold' } });
  const reply = await session.send(postOrder({ ...RESTING, client_order_id: 'mine' }));
  if (reply.kind !== 'answered') throw new TypeError('not answered');

  session.noteOrder(JSON.parse(Buffer.from(reply.body).toString()) as Record<string, unknown>);

  const listed = answered(await session.read({ resource: 'orders', query: '' }, CACHED, SOON));
  expect(listed.source).toBe('mirror');
  expect(listed.json).toMatchObject([{ client_order_id: 'mine' }]);
});

test('after a fill the next read of account and positions is not the old one', async () => {
  const { session, heard } = await accounts.started();
  await session.read({ resource: 'positions' }, FRESH, SOON);

  await session.send(postOrder(BUY));
  await eventually('the fill is heard', () => heard.some(({ event }) => event === 'fill'));

  const positions = answered(await session.read({ resource: 'positions' }, CACHED, SOON));
  expect(positions.json).toMatchObject([{ symbol: 'AAPL', qty: '10' }]);
  expect(session.mirror.position('AAPL')).toMatchObject({ qty: '10' });
});

test('one bad key isolates only itself, and recovers when the key works again', async () => {
  simulator.control.breakKey(accounts.keys(0).accountId);
  const bad = await accounts.started(accounts.keys(0));
  const good = await accounts.started(accounts.keys(1));

  expect([bad.session.state(), good.session.state()]).toEqual(['failed', 'ready']);
  for (let call = 0; call < 6; call += 1) await bad.session.read({ resource: 'account' }, FRESH, SOON);
  const refused = await bad.session.read({ resource: 'account' }, FRESH, SOON);
  expect(refused).toMatchObject({ kind: 'problem', problem: { code: 'account-unavailable' } });
  expect(answered(await good.session.read({ resource: 'account' }, FRESH, SOON)).source).toBe('broker');

  simulator.control.breakKey(accounts.keys(0).accountId, false);
  await eventually('it is ready', () => bad.session.state() === 'ready');
  expect(answered(await bad.session.read({ resource: 'account' }, FRESH, SOON)).source).toBe('broker');
});
