/** What the stream does not bring: fills that are late among the activities, lost events, ends while nothing listened. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readAudit } from '../../../src/kernel/audit/read.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import type { Mirrored } from '../../../src/workers/accounts/mirrored.js';
import type { TradeUpdate } from '../../../src/workers/accounts/account-session.js';
import { BrokerAccounts, RESTING } from '../../support/broker-accounts.js';
import { aDeskOn } from '../../support/desk-on-simulator.js';
import { eventually } from '../../support/gateway-process.js';
import { Caller } from '../../support/simulator-caller.js';
import { aSimulator } from '../../support/simulator.js';

let simulator: Simulator;
let accounts: BrokerAccounts;
beforeEach(async () => {
  simulator = await aSimulator({ accounts: 1 });
  simulator.control.behave({ fills: 'manual' });
  accounts = new BrokerAccounts(simulator);
});
afterEach(async () => {
  await accounts.close();
  await simulator.close();
});

const STREAM = { path: '/stream' };

async function place(): Promise<string> {
  const { body } = await new Caller(simulator.url, accounts.keys()).post('/v2/orders', RESTING);
  return (body as { readonly id: string }).id;
}

const fillsIn = (updates: readonly TradeUpdate[]): readonly TradeUpdate[] =>
  updates.filter(({ event }) => event === 'fill' || event === 'partial_fill');

test('a fill whose event is lost while the stream lives is found, once', async () => {
  const { heard: updates } = await accounts.started();
  const id = await place();
  await eventually(() => updates.some(({ event }) => event === 'new'), 'the order works');
  const lose = simulator.control.switchOn({ ...STREAM, fault: { kind: 'stream-lose' } });
  simulator.control.fill(id, { qty: '1', price: '5' });
  for (const one of lose) simulator.control.switchOff(one);

  await eventually(() => fillsIn(updates).length > 0, 'the fill is found', 40_000);
  simulator.control.fill(id, { price: '5' });
  await eventually(() => fillsIn(updates).length > 1, 'the next fill comes by the stream');

  expect(fillsIn(updates)).toMatchObject([{ reconciled: true }, { reconciled: false, event: 'fill' }]);
}, 90_000);

test('the stream drops, an order fills, its activity appears 4 s later: one fill event, one audit record', async () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'opitios-late-activity-'));
  const desk = await aDeskOn(simulator, { dataDir });
  const events: string[] = [];
  desk.desk.onOrderEvent(({ event }) => events.push(event));
  try {
    const id = await place();
    await eventually(() => events.includes('new'), 'the order works');
    simulator.control.behave({ activitiesLagMs: 4_000 });
    const refuse = simulator.control.switchOn({ ...STREAM, fault: { kind: 'stream-refuse', status: 503 } });
    simulator.control.dropStreams([desk.accountId]);
    await eventually(() => desk.session.state() === 'degraded', 'the session noticed');
    simulator.control.fill(id, { price: '5' });
    for (const one of refuse) simulator.control.switchOff(one);

    await eventually(() => events.includes('fill'), 'the fill is published', 60_000);
    await desk.close();
    const audited = [];
    for await (const { facts } of readAudit(join(dataDir, 'audit'), { kinds: ['fill'] })) audited.push(facts);
    expect(events.filter((event) => event.includes('fill'))).toEqual(['fill']);
    expect(audited).toMatchObject([{ order_id: id, reconciled: true }]);
  } finally {
    await desk.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
}, 90_000);

/** An order as the last event of it showed it. */
function working(id: string): Mirrored {
  const value = { id, client_order_id: `c-${id}`, symbol: 'AAPL', status: 'new', filled_qty: '0' };
  return { text: JSON.stringify(value), value };
}

test.each(['expired', 'canceled'] as const)(
  'an order of long ago is %s while nothing listens: one event after the return',
  async (end) => {
    const first = await accounts.started();
    const id = await place();
    await eventually(() => first.heard.some(({ event }) => event === 'new'), 'the order works');
    await first.session.close();
    if (end === 'expired') simulator.control.expire(id);
    else simulator.control.cancel(id);
    // Nothing of it stands in the lists since then: it is known only as an order that worked.
    const lastEventAt = new Date(Date.now() + 180_000).toISOString();

    const second = await accounts.started(accounts.keys(), {
      ...{ lastEventAt, fills: [], working: [working(id)] },
      lastEventOf: (orderId) => (orderId === id ? 'new' : undefined),
    });

    expect(second.heard).toMatchObject([{ event: end, reconciled: true, order: { id } }]);
  },
);

test('an order that the broker does not know is a finding: the account is ready, and the order is published as gone', async () => {
  const unknown = '7b08df51-c1ac-453c-99f9-323a5f075f0d';

  const { session, heard: updates } = await accounts.started(accounts.keys(), {
    ...{ lastEventAt: new Date().toISOString(), fills: [], working: [working(unknown)] },
    lastEventOf: () => 'new',
  });
  const state = session.state();
  await eventually(() => updates.some(({ event }) => event === 'gone'), 'it is gone', 60_000);

  expect(state).toBe('ready');
  expect(updates).toMatchObject([{ event: 'gone', reconciled: true, order: { id: unknown, symbol: 'AAPL' } }]);
  expect(session.mirror.openOrders()).toEqual([]);
}, 90_000);
