/** New keys for a session that works: old and new overlap, and nothing of the old one is lost. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Simulator } from '../../../src/simulator/simulator.js';
import type { BrokerCall } from '../../../src/workers/accounts/account-session.js';
import { BrokerAccounts, BUY, postOrder } from '../../support/broker-accounts.js';
import { eventually } from '../../support/eventually.js';
import { aSimulator } from '../../support/simulator.js';

let simulator: Simulator;
let accounts: BrokerAccounts;

beforeEach(async () => {
  simulator = await aSimulator();
  accounts = new BrokerAccounts(simulator, { budget: { limitPerMinute: 100_000, inFlightMax: 50 } });
  simulator.control.setRateLimit(100_000);
});
afterEach(async () => {
  await accounts.close();
  await simulator.close();
});

const accountId = (): string => accounts.keys().accountId;

test('old and new keys overlap: no call fails, no event is missed or told twice, and the state stays ready', async () => {
  const { session, heard } = await accounts.started();
  const states: string[] = [];
  session.onState((state) => states.push(state));
  const kept: boolean[] = [];
  session.onTradeUpdate(() => kept.push(session.mirror.inSync));
  const flow = { isOver: false, sent: 0, refused: [] as unknown[] };
  const flowing = (async () => {
    while (!flow.isOver) {
      await sleep(5);
      const reply = await session.send(
        postOrder({ ...BUY, qty: '1', client_order_id: `flow-${String((flow.sent += 1))}` }),
      );
      if (reply.kind !== 'answered' || reply.status !== 200) flow.refused.push(reply);
    }
  })();

  let current = accounts.keys();
  for (let turn = 0; turn < 4; turn += 1) {
    const next = simulator.control.issueKeys(accountId());
    expect(await accounts.rotate(session, next)).toBe('same account');
    simulator.control.revokeKeys(current.apiKey);
    current = next;
    await sleep(5);
  }
  flow.isOver = true;
  await flowing;
  await eventually('all fills are heard', () => heard.filter(({ event }) => event === 'fill').length >= flow.sent);

  expect(flow.sent).toBeGreaterThan(10);
  expect(flow.refused).toEqual([]);
  expect(states).toEqual([]);
  expect(kept.every((inSync) => inSync)).toBe(true);
  const told = heard.map(({ event, order }) => `${String(order['client_order_id'])} ${event}`);
  expect(told.length).toBe(new Set(told).size);
  expect(told.length).toBe(3 * flow.sent);
  expect(heard.filter(({ reconciled }) => reconciled)).toEqual([]);
  expect(simulator.control.counters().tradeStreams[accountId()]).toMatchObject({ opened: 5, open: 1 });
});

test('what waits for a free connection under the old keys is sent before the rotation is over', async () => {
  const { session } = await accounts.started();
  // The pool has eight connections: of these some wait for one, and the trial of the new keys overtakes them.
  simulator.control.switchOn({ fault: { kind: 'latency', ms: 200 }, path: '/v2/positions' });
  const read: BrokerCall = { method: 'GET', path: '/v2/positions', lane: 'read', deadlineMs: 10_000 };
  const reads = Array.from({ length: 40 }, () => session.send(read));
  const next = simulator.control.issueKeys(accountId());

  expect(await accounts.rotate(session, next)).toBe('same account');
  simulator.control.revokeKeys(accounts.keys().apiKey);

  for (const reply of await Promise.all(reads)) expect(reply).toMatchObject({ kind: 'answered', status: 200 });
});

test('keys that the broker refuses, or that are of another account, change nothing', async () => {
  const { session } = await accounts.started();
  const revoked = simulator.control.issueKeys(accountId());
  simulator.control.revokeKeys(revoked.apiKey);

  expect(await accounts.rotate(session, revoked)).toBe('refused');
  expect(await accounts.rotate(session, accounts.keys(1))).toBe('other account');

  expect(session.state()).toBe('ready');
  expect(await session.send(postOrder(BUY))).toMatchObject({ kind: 'answered', status: 200 });
});

test('keys that the broker does not answer about change nothing', async () => {
  const { session } = await accounts.started();
  const next = simulator.control.issueKeys(accountId());
  simulator.control.switchOn({ fault: { kind: 'status', status: 503 } });

  expect(await accounts.rotate(session, next)).toBe('unreachable');

  simulator.control.switchOff();
  expect(session.state()).toBe('ready');
  expect(await session.send(postOrder(BUY))).toMatchObject({ kind: 'answered', status: 200 });
});

test('a broker that takes no second stream ends the first one: the gap between them is told', async () => {
  const { session, heard } = await accounts.started();
  const [refusal] = simulator.control.switchOn({ fault: { kind: 'stream-refuse', status: 429 } });

  expect(await accounts.rotate(session, simulator.control.issueKeys(accountId()))).toBe('same account');
  await session.send(postOrder({ ...BUY, client_order_id: 'unheard' }));
  await eventually('it is filled', () => simulator.control.orders({ accountId: accountId() })[0]?.status === 'filled');
  await sleep(50);
  simulator.control.switchOff(refusal);

  await eventually('the fill is told', () => heard.some(({ event }) => event === 'fill'));
  await eventually('the session is ready', () => session.state() === 'ready');
  expect(heard.filter(({ event, reconciled }) => event === 'fill' && reconciled)).toHaveLength(1);
});

test('a first stream that dies while the second one opens leaves a gap that is told', async () => {
  const { session, heard } = await accounts.started();
  simulator.control.switchOn({ fault: { kind: 'stream-mute' } });
  const rotating = accounts.rotate(session, simulator.control.issueKeys(accountId()));
  await sleep(50);
  simulator.control.dropStreams([accountId()]);
  await session.send(postOrder({ ...BUY, client_order_id: 'between' }));
  simulator.control.switchOff();

  expect(await rotating).toBe('same account');
  await eventually('the fill is told', () => heard.some(({ event }) => event === 'fill'));
  await eventually('the session is ready', () => session.state() === 'ready');
  expect(heard.filter(({ event }) => event === 'fill')).toHaveLength(1);
});

test('a session that is closed during a rotation ends both streams', async () => {
  const { session } = await accounts.started();
  simulator.control.switchOn({ fault: { kind: 'stream-auth', answer: 'never' } });
  const rotating = accounts.rotate(session, simulator.control.issueKeys(accountId()));
  await sleep(100);

  await session.close();

  expect(await rotating).toBe('same account');
  await eventually('no stream is open', () => simulator.control.counters().tradeStreamsTotal.open === 0);
});

test('an answer to an earlier ping does not end the first stream: what it still brings is heard', async () => {
  const { session, heard } = await accounts.started();
  // Keeps back what the old stream is owed, until both are open.
  simulator.control.switchOn({ fault: { kind: 'stream-hold' } });
  await session.send(postOrder({ ...BUY, client_order_id: 'held' }));
  const rotating = accounts.rotate(session, simulator.control.issueKeys(accountId()));
  await sleep(100);
  simulator.control.switchOff();

  expect(await rotating).toBe('same account');
  await eventually('the fill is told', () => heard.some(({ event }) => event === 'fill'));
  expect(heard.filter(({ event }) => event === 'fill')).toHaveLength(1);
});
