/** A pause of an account ends: neither its breaker nor its budget may stay shut when the broker would answer again. */
import { expect, test } from '@jest/globals';
import { silentMeter } from '../../../src/kernel/runtime/meter.js';
import { BudgetedCalls } from '../../../src/workers/accounts/budgeted-calls.js';
import { RateBudget, type Admission } from '../../../src/workers/accounts/rate-budget.js';
import type { ExchangeResult } from '../../../src/workers/alpaca/broker-pool.js';
import type { BrokerWire } from '../../../src/workers/alpaca/broker-wire.js';
import { ManualClock } from '../../support/manual-clock.js';

const REFUSED: ExchangeResult = { kind: 'not-sent', reason: 'connect', detail: 'ECONNREFUSED' };
const ANSWERED: ExchangeResult = { kind: 'answered', status: 200, headers: {}, body: Buffer.from('{}'), upstreamMs: 1 };
const LIMITS = { limitPerMinute: 100, inFlightMax: 8, waitingMax: 100 };

test('a breaker whose trial found no room in the budget lets the next trial pass', async () => {
  const clock = new ManualClock();
  const budget = new RateBudget(LIMITS, clock);
  let says: ExchangeResult = REFUSED;
  const wire = { send: () => Promise.resolve<ExchangeResult>(says) } as unknown as BrokerWire;
  const calls = new BudgetedCalls(wire, budget, clock, silentMeter);
  const cancel = { method: 'DELETE', path: '/v2/orders/1', lane: 'cancel', deadlineMs: 50 } as const;
  for (let turn = 0; turn < 5; turn += 1) await calls.send(cancel);
  await clock.advance(1_100);
  budget.pause(5_000);
  expect(await calls.send(cancel)).toMatchObject({ kind: 'not-sent', reason: 'budget' });
  says = ANSWERED;
  await clock.advance(3_600_000);
  expect(await calls.send(cancel)).toMatchObject({ kind: 'answered' });
});

test('a refusal says whether the budget is used up or too many wait', async () => {
  const wire = { send: () => new Promise<ExchangeResult>(() => undefined) } as unknown as BrokerWire;
  const clock = new ManualClock();
  const read = { method: 'GET', path: '/v2/account', lane: 'read', deadlineMs: 1_000 } as const;
  const crowded = new BudgetedCalls(
    wire,
    new RateBudget({ ...LIMITS, inFlightMax: 1, waitingMax: 0 }, clock),
    clock,
    silentMeter,
  );
  void crowded.send(read);
  expect(await crowded.send(read)).toMatchObject({ reason: 'budget', detail: expect.stringContaining('wait') });
  const spent = new BudgetedCalls(wire, new RateBudget({ ...LIMITS, limitPerMinute: 1 }, clock), clock, silentMeter);
  void spent.send(read);
  expect(await spent.send(read)).toMatchObject({ reason: 'budget', detail: expect.stringContaining('used up') });
});

test('an order waits for the window that the broker named, not for the one that was guessed before', async () => {
  const clock = new ManualClock();
  const budget = new RateBudget({ ...LIMITS, limitPerMinute: 10, inFlightMax: 1 }, clock);
  const first = permitOf(await budget.admit('read', 5_000));
  const second = budget.admit('read', 5_000);
  const resetAtS = clock.now() / 1000 + 5;
  first.release({ limit: 10, remaining: 9, resetAtS, brokerNowMs: clock.now() });
  permitOf(await second).release({ limit: 10, remaining: 0, resetAtS, brokerNowMs: clock.now() });
  let admission: Admission | undefined;
  void budget.admit('order', 10_000).then((told) => (admission = told));
  await clock.advance(12_000);
  expect(admission?.kind).toBe('admitted');
});

function permitOf(admission: Admission): Extract<Admission, { kind: 'admitted' }>['permit'] {
  if (admission.kind !== 'admitted') throw new TypeError('not admitted');
  return admission.permit;
}
