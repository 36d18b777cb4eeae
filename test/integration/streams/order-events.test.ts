import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { silentMeter } from '../../../src/kernel/runtime/meter.js';
import { eventually } from '../../support/eventually.js';
import { ACCOUNTS, aStreamEdge, type StreamClient, type StreamUnderTest } from '../../support/stream-doors.js';

let stream: StreamUnderTest;
const [ONE, TWO] = ACCOUNTS as [(typeof ACCOUNTS)[number], (typeof ACCOUNTS)[number]];

beforeEach(async () => {
  stream = await aStreamEdge();
});
afterEach(() => stream.close());

async function aSubscriber(...orders: string[]): Promise<StreamClient> {
  const client = await stream.connect('a|read|*');
  client.say({ action: 'subscribe', orders });
  await client.next('subscription');
  return client;
}

const seqs = (client: StreamClient): number[] =>
  client.records.filter((record) => record['type'] === 'order').map((record) => record['seq'] as number);

test('a foreign account and a missing one get the same error, and nothing of the action is done', async () => {
  const client = await stream.connect('a|read|account_001');
  for (const id of ['account_002', 'account_999', 'no such id!']) {
    client.say({ action: 'subscribe', orders: ['account_001', id] });
    expect(await client.next('error')).toEqual({
      type: 'error',
      code: 'account-not-found',
      detail: 'Account not found',
      account_id: id,
    });
  }
  client.say({ action: 'resume', account_id: 'account_002', epoch: 1, seq: 0 });
  expect((await client.next('error'))['code']).toBe('account-not-found');

  stream.events.publish(ONE);
  client.say({ action: 'ping' });
  await client.next('pong');
  expect(seqs(client)).toEqual([]);
});

test("an event carries the broker's values byte for byte", async () => {
  const client = await aSubscriber('account_001');
  let raw = '';
  client.socket.on('message', (data: Buffer) => (raw += data.toString()));

  stream.events.publish(ONE, { reconciled: true });
  await client.next('order');

  expect(raw).toBe(
    '{"type":"order","account_id":"account_001","epoch":1,"seq":1,"event":"fill","timestamp":"2026-01-05T15:00:00Z",' +
      '"price":"172.50","order":{"id":"o1","qty":"1.0","note":"a } \\" ,"},"reconciled":true}',
  );
});

test('a lost event is fetched when the next one shows the hole', async () => {
  const client = await aSubscriber('account_001');
  stream.events.publish(ONE);
  stream.events.publish(ONE, { lost: true });
  stream.events.publish(ONE);
  stream.events.publish(ONE);

  for (let n = 0; n < 4; n += 1) await client.next('order');
  expect(seqs(client)).toEqual([1, 2, 3, 4]);
});

test('a repeated event is not told twice', async () => {
  const client = await aSubscriber('account_001');
  const first = stream.events.publish(ONE);
  stream.events.repeat(first);
  stream.events.publish(ONE);

  await client.next('order');
  await client.next('order');
  expect(seqs(client)).toEqual([1, 2]);
});

test('a lost last event is found when the session comes back', async () => {
  const client = await aSubscriber('account_001');
  stream.events.publish(ONE, { lost: true });
  stream.events.setState(ONE, 'ready');

  expect((await client.next('order'))['seq']).toBe(1);
});

test("a new epoch does not hide the old one's tail", async () => {
  const client = await aSubscriber('account_001');
  stream.events.publish(ONE);
  stream.events.publish(ONE, { lost: true });
  stream.events.publish(ONE, { epoch: 2 });

  for (let n = 0; n < 3; n += 1) await client.next('order');
  const places = client.records.filter(({ type }) => type === 'order').map(({ epoch, seq }) => [epoch, seq]);
  expect(places).toEqual([
    [1, 1],
    [1, 2],
    [2, 1],
  ]);
});

test('what the ring no longer has is said as a gap, in its place', async () => {
  for (let n = 0; n < 6; n += 1) stream.events.publish(ONE);
  stream.events.forgotten = [{ epoch: 1, from: 3, to: 4 }];
  const client = await stream.connect('a|read|*');
  client.say({ action: 'resume', account_id: 'account_001', epoch: 1, seq: 2 });

  await client.next('order');
  await client.next('order');
  expect(client.records.map(({ type, seq, from, to }) => [type, seq ?? from, to])).toEqual([
    ['subscription', undefined, undefined],
    ['gap', 3, 4],
    ['order', 5, undefined],
    ['order', 6, undefined],
  ]);
});

test('a resume subscribes, tells what was missed once, and goes on live', async () => {
  for (let n = 0; n < 5; n += 1) stream.events.publish(ONE);
  const client = await stream.connect('a|read|account_001');
  client.say({ action: 'resume', account_id: 'account_001', epoch: 1, seq: 2 });
  stream.events.publish(ONE);
  expect((await client.next('subscription'))['orders']).toEqual(['account_001']);
  await client.next('order');
  stream.events.publish(ONE);

  for (let n = 0; n < 4; n += 1) await client.next('order');
  expect(seqs(client)).toEqual([3, 4, 5, 6, 7]);
});

test('an owner that is away makes a resume fail aloud, and it can be tried again', async () => {
  const client = await stream.connect('a|read|*');
  stream.events.publish(ONE);
  stream.events.away = true;
  client.say({ action: 'resume', account_id: 'account_001', epoch: 1, seq: 0 });
  // The feed waits for the owner: the client is answered when it has, or at its deadline.
  setTimeout(() => (stream.events.away = false), 100);

  await client.next('subscription');
  expect((await client.next('order'))['seq']).toBe(1);
});

test('the star means all accounts of the token, also those that come later', async () => {
  const client = await stream.connect('a|read|*');
  client.say({ action: 'subscribe', orders: ['*'] });
  expect((await client.next('subscription'))['orders']).toEqual(['*']);
  const late = 'account_004' as (typeof ACCOUNTS)[number];
  stream.accounts.push(late);
  await new Promise((resolve) => setTimeout(resolve, 1_200));

  stream.events.publish(TWO);
  stream.events.publish(late);
  expect((await client.next('order'))['account_id']).toBe('account_002');
  expect((await client.next('order'))['account_id']).toBe('account_004');
});

test('the star of a scoped token reaches its own accounts only', async () => {
  const client = await stream.connect('a|read|account_002');
  client.say({ action: 'subscribe', orders: ['*'], status: ['*'] });
  await client.next('subscription');
  stream.events.publish(ONE);
  stream.events.setState(ONE, 'degraded');
  stream.events.setState(TWO, 'degraded');

  expect(await client.next('status')).toEqual({ type: 'status', account_id: 'account_002', state: 'degraded' });
  expect(seqs(client)).toEqual([]);
});

test('an account that is taken away ends its subscription within seconds, aloud', async () => {
  const client = await aSubscriber('account_001', 'account_002');
  stream.accounts.splice(0, 1);

  expect(await client.next('error')).toMatchObject({ code: 'account-not-found', account_id: 'account_001' });
  expect((await client.next('subscription'))['orders']).toEqual(['account_002']);
  stream.events.publish(ONE);
  stream.events.publish(TWO);
  expect((await client.next('order'))['account_id']).toBe('account_002');
});

test('a reader of order events that cannot keep up is cut off with 4408 and told where to resume', async () => {
  await stream.close();
  stream = await aStreamEdge({ pingIntervalMs: 60_000 });
  const client = await aSubscriber('account_001');
  client.socket.pause();
  const note = 'x'.repeat(100_000);
  for (let n = 0; n < 300; n += 1) {
    stream.events.publish(ONE, { note });
    if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  }
  client.socket.resume();

  expect((await client.closed).code).toBe(4408);
  const seen = seqs(client);
  expect(seen).toEqual(seen.map((_, n) => n + 1));
  expect(client.records.at(-1)).toMatchObject({ type: 'error', code: 'slow-reader' });
  const [{ epoch, seq }] = client.records.at(-1)?.['positions'] as [{ epoch: number; seq: number }];
  expect({ epoch, seq }).toEqual({ epoch: 1, seq: seen.length });
}, 30_000);

test('a reader that does not answer pings is cut off with 1013', async () => {
  await stream.close();
  const codes: string[] = [];
  const meter = {
    ...silentMeter,
    count: (name: string, labels?: Readonly<Record<string, string>>) => {
      if (name === 'opitios_stream_closed_total') codes.push(labels?.['code'] ?? '');
    },
  };
  stream = await aStreamEdge({}, meter);
  const client = await aSubscriber('account_001');
  client.socket.pause();
  await eventually('the edge has closed it', () => codes.length > 0, 20_000);
  client.socket.resume();

  await client.closed;
  expect(codes).toEqual(['1013']);
}, 30_000);
