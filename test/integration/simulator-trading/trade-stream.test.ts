import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { aSimulator } from '../../support/simulator.js';
import { Caller, StreamProbe } from '../../support/simulator-caller.js';

let simulator: Simulator;
let caller: Caller;

beforeEach(async () => {
  simulator = await aSimulator();
  caller = new Caller(simulator.url, simulator.accounts[0]!);
});
afterEach(() => simulator.close());

const listen = (account = 0): Promise<StreamProbe> =>
  StreamProbe.listen(simulator.endpoints.streamTrading, simulator.accounts[account]!);

const buy = { symbol: 'AAPL', qty: '10', side: 'buy', type: 'market', time_in_force: 'day' };
const rest = { ...buy, type: 'limit', limit_price: '5' };

test('a market order is told as pending_new, new and fill, in binary frames', async () => {
  const probe = await listen();

  const { body } = await caller.post('/v2/orders', buy);
  await probe.until(() => probe.events().includes('fill'));

  expect(probe.events()).toEqual(['pending_new', 'new', 'fill']);
  expect(probe.binary.every(Boolean)).toBe(true);
  expect(probe.updates()[2]).toMatchObject({
    event: 'fill',
    event_id: expect.stringMatching(/^[0-9A-HJKMNP-TV-Z]{26}$/),
    execution_id: expect.any(String),
    position_qty: '10',
    qty: '10',
    order: { id: body.id, status: 'filled', cancel_requested_at: null },
  });
});

test('a stream that is not authenticated hears nothing and is told why', async () => {
  const probe = await StreamProbe.open(simulator.endpoints.streamTrading);
  probe.send({ action: 'listen', data: { streams: ['trade_updates'] } });
  await probe.until(() => probe.messages.length > 0);
  probe.send({ action: 'authenticate', data: { key_id: 'no', secret_key: 'no' } });
  await once(probe.socket, 'close');

  expect(probe.messages).toEqual([
    { stream: 'authorization', data: { status: 'unauthorized', action: 'listen' } },
    { stream: 'authorization', data: { status: 'unauthorized', action: 'authenticate' } },
  ]);
});

test('the newer form of authentication is taken too', async () => {
  const { apiKey, secretKey } = simulator.accounts[0]!;
  const probe = await StreamProbe.open(simulator.endpoints.streamTrading);

  probe.send({ action: 'auth', key: apiKey, secret: secretKey });
  await probe.until(() => probe.messages.length > 0);

  expect(probe.messages[0].data.status).toBe('authorized');
});

test('an account hears only its own orders', async () => {
  const [mine, theirs] = [await listen(0), await listen(1)];

  await caller.post('/v2/orders', buy);
  await mine.until(() => mine.events().includes('fill'));

  expect(theirs.events()).toEqual([]);
});

test('a cancel is told as pending_cancel and canceled, a replace as pending_replace, replaced and new', async () => {
  const probe = await listen();
  const { body: first } = await caller.post('/v2/orders', rest);
  await probe.until(() => probe.events().includes('new'));

  const { body: second } = await caller.call('PATCH', `/v2/orders/${first.id}`, { limit_price: '6' });
  await probe.until(() => probe.events().filter((event) => event === 'new').length === 2);
  await caller.call('DELETE', `/v2/orders/${second.id}`);
  await probe.until(() => probe.events().includes('canceled'));

  expect(probe.events().slice(2)).toEqual(['pending_replace', 'replaced', 'new', 'pending_cancel', 'canceled']);
  expect(second).toMatchObject({ replaces: first.id, limit_price: '6' });
  expect(simulator.control.order(first.id)).toMatchObject({ status: 'replaced', replaced_by: second.id });
});

test('F13: fills while the stream is down are not replayed, but REST has them', async () => {
  const before = await listen();
  simulator.control.behave({ fills: 'manual' });
  const { body } = await caller.post('/v2/orders', buy);
  simulator.control.dropStreams([simulator.accounts[0]!.accountId]);
  await once(before.socket, 'close');

  simulator.control.fill(body.id, { qty: '4', price: '50' });
  const after = await listen();
  simulator.control.fill(body.id);
  await after.until(() => after.events().includes('fill'));

  const { body: activities } = await caller.get('/v2/account/activities/FILL?direction=asc');
  expect(after.updates().map((data) => data.qty)).toEqual(['6']);
  expect(activities.map((row: { qty: string; type: string }) => [row.qty, row.type])).toEqual([
    ['4', 'partial_fill'],
    ['6', 'fill'],
  ]);
});

test('F13: held events come in order when the hold ends; duplicates come twice; reordered ones swap', async () => {
  simulator.control.behave({ fills: 'manual' });
  const probe = await listen();
  const hold = simulator.control.switchOn({ fault: { kind: 'stream-hold' } });
  await caller.post('/v2/orders', rest);
  await eventually(() => simulator.control.orders({ status: 'new' }).length === 1);
  const whileHeld = probe.events();
  simulator.control.switchOff(hold[0]);
  await probe.until(() => probe.events().length === 2);

  simulator.control.switchOn({ count: 1, fault: { kind: 'stream-duplicate' } });
  const id = simulator.control.orders()[0]!.id;
  simulator.control.fill(id, { qty: '1', price: '5' });
  await probe.until(() => probe.events().length === 4);
  simulator.control.switchOn({ count: 1, fault: { kind: 'stream-reorder' } });
  simulator.control.fill(id, { qty: '2', price: '5' });
  simulator.control.fill(id, { qty: '3', price: '5' });
  await probe.until(() => probe.events().length === 6);

  expect(whileHeld).toEqual([]);
  expect(probe.events().slice(0, 2)).toEqual(['pending_new', 'new']);
  expect(probe.updates()[2]).toEqual(probe.updates()[3]);
  expect(
    probe
      .updates()
      .slice(4)
      .map((data) => data.qty),
  ).toEqual(['3', '2']);
});

test('F14: a mute stream stays open and answers no ping', async () => {
  const probe = await listen();
  let pongs = 0;
  probe.socket.on('pong', () => (pongs += 1));
  probe.socket.ping();
  await once(probe.socket, 'pong');

  const [mute] = simulator.control.switchOn({ fault: { kind: 'stream-mute' } });
  probe.socket.ping();
  const { body } = await caller.post('/v2/orders', buy);
  await eventually(() => simulator.control.order(body.id).status === 'filled');
  simulator.control.switchOff(mute);
  probe.socket.ping();
  await once(probe.socket, 'pong');

  expect(pongs).toBe(2);
  expect(probe.events()).toEqual([]);
  expect(probe.socket.readyState).toBe(probe.socket.OPEN);
});

test('an authentication can go unanswered, and an upgrade can be refused', async () => {
  simulator.control.switchOn({ count: 1, fault: { kind: 'stream-auth', answer: 'never' } });
  const probe = await StreamProbe.open(simulator.endpoints.streamTrading);
  const { apiKey, secretKey } = simulator.accounts[0]!;
  const message = { action: 'authenticate', data: { key_id: apiKey, secret_key: secretKey } };
  probe.send(message);
  probe.send(message);
  await probe.until(() => probe.messages.length > 0);
  simulator.control.switchOn({ count: 1, path: '/stream', fault: { kind: 'stream-refuse', status: 429 } });

  await expect(StreamProbe.open(simulator.endpoints.streamTrading)).rejects.toThrow('429');
  expect(probe.messages).toHaveLength(1);
});

test('counters tell how many streams an account has and has had', async () => {
  const probe = await listen();
  probe.socket.close();
  await once(probe.socket, 'close');
  await listen();
  await eventually(() => simulator.control.counters().tradeStreamsTotal.open === 1);

  expect(simulator.control.counters().tradeStreams).toEqual({
    [simulator.accounts[0]!.accountId]: { opened: 2, open: 1 },
  });
});

async function eventually(isMet: () => boolean): Promise<void> {
  const signal = AbortSignal.timeout(5_000);
  while (!isMet()) {
    signal.throwIfAborted();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
