/** What a session says of an order whose answer is lost, held against what the simulator's ledger says arrived. */
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { LOST_AFTER_ACCEPT } from '../../../src/simulator/faults/fault.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import { BrokerPool } from '../../../src/workers/alpaca/broker-pool.js';
import { answered, BrokerAccounts, postOrder, RESTING } from '../../support/broker-accounts.js';
import { eventually } from '../../support/eventually.js';
import { aSimulator } from '../../support/simulator.js';

let simulator: Simulator;
let accounts: BrokerAccounts;

beforeEach(async () => {
  simulator = await aSimulator({ behaviour: { fills: 'manual' } });
  accounts = new BrokerAccounts(simulator, { pool: { connections: 1 } });
});
afterEach(async () => {
  await accounts.close();
  await simulator.close();
});

const SUBMIT = { method: 'POST', path: '/v2/orders' } as const;
const arrived = (): number => simulator.control.ledger(SUBMIT).entries.length;
const order = { ...RESTING, client_order_id: 'lost' };

test.each(LOST_AFTER_ACCEPT.filter((how) => how !== '502' && how !== '504'))(
  'R5 %s: an order that was taken and whose answer is lost is ambiguous, with one arrival',
  async (how) => {
    const session = accounts.session();
    // The first call leaves an idle socket behind, as in a warm gateway.
    await session.read({ resource: 'account' }, { fresh: true }, { deadlineMs: 2_000 });
    simulator.control.switchOn({ ...SUBMIT, count: 1, fault: { kind: 'answer-lost', how } });

    const reply = await session.send(postOrder(order, { deadlineMs: 300 }));

    expect(reply.kind).toBe('ambiguous');
    expect(arrived()).toBe(1);
    expect(simulator.control.orders({ clientOrderId: 'lost' })).toHaveLength(1);
    const lookup = { resource: 'order-by-client-order-id', clientOrderId: 'lost' } as const;
    expect(answered(await session.read(lookup, { fresh: true }, { deadlineMs: 2_000 })).json).toMatchObject({
      client_order_id: 'lost',
    });
  },
);

test.each(['502', '503', '504', 'not-json'] as const)(
  'R5 %s: a whole answer that proves nothing is handed on as it is, after one arrival',
  async (how) => {
    simulator.control.switchOn({ ...SUBMIT, count: 1, fault: { kind: 'answer-lost', how } });

    const reply = await accounts.session().send(postOrder(order));

    expect(reply).toMatchObject({ kind: 'answered', status: how === 'not-json' ? 200 : Number(how) });
    expect(arrived()).toBe(1);
  },
);

test('a body that trickles past the deadline leaves the order ambiguous', async () => {
  simulator.control.switchOn({ ...SUBMIT, count: 1, fault: { kind: 'slow-body', bytesPerSecond: 20 } });

  const reply = await accounts.session().send(postOrder(order, { deadlineMs: 300 }));

  expect(reply).toMatchObject({ kind: 'ambiguous', detail: 'deadline' });
  expect(arrived()).toBe(1);
});

test('an order whose deadline passes while it waits for a socket is not sent, also not later', async () => {
  const session = accounts.session();
  const hang = simulator.control.switchOn({ path: '/v2/account', fault: { kind: 'answer-lost', how: 'hang' } });
  const hung = session.read({ resource: 'account' }, { fresh: true }, { deadlineMs: 600 });

  const reply = await session.send(postOrder(order, { deadlineMs: 100 }));

  expect(reply).toMatchObject({ kind: 'not-sent', reason: 'deadline' });
  await hung;
  simulator.control.switchOff(hang[0]);
  await session.read({ resource: 'account' }, { fresh: true }, { deadlineMs: 2_000 });
  expect(arrived()).toBe(0);
});

test('an order that may no longer be sent when its socket is free is not sent', async () => {
  const session = accounts.session();
  simulator.control.switchOn({ path: '/v2/account', count: 1, fault: { kind: 'latency', ms: 200 } });
  let isAllowed = true;
  const slow = session.read({ resource: 'account' }, { fresh: true }, { deadlineMs: 2_000 });
  const waiting = session.send(postOrder(order, { mayStillSend: () => isAllowed }));
  isAllowed = false;

  expect(await waiting).toMatchObject({ kind: 'not-sent', reason: 'forbidden' });
  await slow;
  expect(arrived()).toBe(0);
});

test('F15: a redirect is handed on and not followed', async () => {
  const headers = { location: `${simulator.url}/v2/elsewhere` };
  simulator.control.switchOn({ ...SUBMIT, count: 1, fault: { kind: 'status', status: 307, headers } });

  const reply = await accounts.session().send(postOrder(order));

  expect(reply).toMatchObject({ kind: 'answered', status: 307 });
  expect(simulator.control.ledger({ path: '/v2/elsewhere' }).entries).toEqual([]);
  expect(arrived()).toBe(1);
});

test('a caller who leaves while his order waits sends nothing; one who leaves later knows nothing', async () => {
  const pool = new BrokerPool(
    { origin: simulator.url, connections: 1, connectTimeoutMs: 1_000, keepAliveMs: 55_000 },
    new SystemClock(),
  );
  const [early, late] = [new AbortController(), new AbortController()];
  simulator.control.switchOn({ fault: { kind: 'answer-lost', how: 'hang' } });
  const { apiKey, secretKey } = accounts.keys();
  const post = (signal: AbortSignal) =>
    pool.exchange({
      ...{ method: 'POST', path: '/v2/orders', body: JSON.stringify(order), deadlineMs: 5_000, signal },
      headers: { 'APCA-API-KEY-ID': apiKey, 'APCA-API-SECRET-KEY': secretKey, 'content-type': 'application/json' },
    });

  const first = post(late.signal);
  const second = post(early.signal);
  early.abort();
  await eventually('the order arrived', () => arrived() > 0);
  late.abort();

  expect(await second).toMatchObject({ kind: 'not-sent' });
  expect(await first).toMatchObject({ kind: 'ambiguous', detail: 'the caller left' });
  expect(arrived()).toBe(1);
  await pool.close();
});

test('sockets that the broker resets while orders go out never carry an order twice', async () => {
  await accounts.close();
  accounts = new BrokerAccounts(simulator, { pool: { connections: 4 } });
  const session = accounts.session();
  const replies: Promise<{ readonly kind: string }>[] = [];
  for (let round = 0; round < 60; round += 1) {
    replies.push(session.send(postOrder({ ...RESTING, client_order_id: `round-${round}` })));
    if (round % 3 === 0) simulator.control.cutConnections();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const kinds = (await Promise.all(replies)).map(({ kind }) => kind);

  for (const [round, kind] of kinds.entries()) {
    const count = simulator.control.ledger({ ...SUBMIT, clientOrderId: `round-${round}` }).entries.length;
    expect(count).toBeLessThanOrEqual(1);
    if (kind === 'answered') expect(count).toBe(1);
    if (kind === 'not-sent') expect(count).toBe(0);
  }
});

test('an address where nobody listens got nothing', async () => {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  const endpoints = { ...simulator.endpoints, trading: `http://127.0.0.1:${port}` };
  const away = new BrokerAccounts({ endpoints, accounts: simulator.accounts });

  const reply = await away.session().send(postOrder(order));

  expect(reply).toMatchObject({ kind: 'not-sent', reason: 'connect' });
  await away.close();
});

test.each([
  ['deep', '['.repeat(100_000)],
  ['deep and whole', `${'['.repeat(50_000)}${']'.repeat(50_000)}`],
  ['a prototype', '{"__proto__":{"id":"x"},"id":7,"status":null,"legs":{"a":1}}'],
  ['null', 'null'],
  ['a list of anything', '[null,1,"a",{},[],{"id":"x","status":7}]'],
  ['half a surrogate', '{"id":"\\ud800","status":"new"}'],
  ['nothing', ''],
  ['large', JSON.stringify(Array(50_000).fill({ id: 'x', symbol: 'AAPL', status: 'odd' }))],
])('F15: %s as the body of every answer harms nothing', async (_name, body) => {
  simulator.control.switchOn({ fault: { kind: 'status', status: 200, body, contentType: 'application/json' } });
  const { session } = await accounts.started();
  session.noteOrder(body.startsWith('{') ? (JSON.parse(body) as Record<string, unknown>) : {});

  for (const resource of ['account', 'positions'] as const) {
    const answer = await session.read({ resource }, { fresh: true }, { deadlineMs: 2_000 });
    // What is no JSON object or list is not handed out.
    expect(answer.kind === 'answer' ? 'answer' : answer.problem.code).toMatch(/^(?:answer|broker-unreadable)$/);
  }
  const open = await session.read({ resource: 'orders', query: '' }, { fresh: false }, { deadlineMs: 2_000 });
  expect(['answer', 'problem']).toContain(open.kind);
  simulator.control.switchOff();
  expect(
    answered(await session.read({ resource: 'account' }, { fresh: true }, { deadlineMs: 2_000 })).json,
  ).toHaveProperty('buying_power');
});
