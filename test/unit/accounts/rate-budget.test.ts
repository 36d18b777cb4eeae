/** One account's budget against a broker that counts in fixed windows of a phase that nobody here knows. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { BudgetLane } from '../../../src/workers/accounts/account-session.js';
import { RateBudget, type Admission } from '../../../src/workers/accounts/rate-budget.js';
import type { RateHeaders } from '../../../src/workers/alpaca/rate-headers.js';
import { ManualClock } from '../../support/manual-clock.js';

const WINDOW_MS = 60_000;

class FixedWindows {
  readonly counts = new Map<number, number>();

  constructor(
    private readonly clock: ManualClock,
    private readonly limit: number,
    private readonly phaseMs: number,
  ) {}

  /** Counts a request that arrives now. */
  take(): RateHeaders {
    const now = this.clock.now() + this.phaseMs;
    const window = Math.floor(now / WINDOW_MS);
    const used = (this.counts.get(window) ?? 0) + 1;
    this.counts.set(window, used);
    const resetAtS = Math.ceil(((window + 1) * WINDOW_MS - this.phaseMs) / 1000);
    return {
      limit: this.limit,
      remaining: Math.max(0, this.limit - used),
      resetAtS,
      brokerNowMs: second(this.clock.now()),
    };
  }

  most(): number {
    return Math.max(0, ...this.counts.values());
  }
}

const second = (ms: number): number => Math.floor(ms / 1000) * 1000;

function aBudget(
  clock: ManualClock,
  options: { limit?: number; inFlight?: number; waiting?: number } = {},
): RateBudget {
  const { limit = 20, inFlight = 8, waiting = 1_000 } = options;
  return new RateBudget({ limitPerMinute: limit, inFlightMax: inFlight, waitingMax: waiting }, clock);
}

function taken(admission: Admission): Extract<Admission, { kind: 'admitted' }>['permit'] {
  if (admission.kind !== 'admitted') throw new TypeError(`refused: ${admission.reason}`);
  return admission.permit;
}

/** Uses `count` requests of the lane, each answered at once by the broker. */
async function use(budget: RateBudget, broker: FixedWindows, lane: BudgetLane, count: number): Promise<number> {
  let passed = 0;
  for (let call = 0; call < count; call += 1) {
    const admission = await budget.admit(lane, 0);
    if (admission.kind !== 'admitted') break;
    admission.permit.release(broker.take());
    passed += 1;
  }
  return passed;
}

test('F10: whatever the phase and the load, no window of the broker sees more than its limit', async () => {
  const lanes: readonly BudgetLane[] = ['cancel', 'order', 'lookup', 'read'];
  const load = fc.array(
    fc.record({
      lane: fc.constantFrom(...lanes),
      gapMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 4_000 })),
      tripMs: fc.integer({ min: 1, max: 3_000 }),
    }),
    { minLength: 60, maxLength: 140 },
  );
  await fc.assert(
    fc.asyncProperty(load, fc.integer({ min: 0, max: WINDOW_MS - 1 }), async (calls, phaseMs) => {
      const clock = new ManualClock();
      const broker = new FixedWindows(clock, 20, phaseMs);
      const budget = aBudget(clock);
      for (const { lane, gapMs, tripMs } of calls) {
        void budget.admit(lane, 100_000).then((admission) => {
          if (admission.kind !== 'admitted') return;
          const headers = broker.take();
          clock.after(tripMs, () => admission.permit.release(headers));
        });
        if (gapMs > 0) await clock.advance(gapMs);
      }
      await clock.advance(5 * WINDOW_MS);
      expect(broker.most()).toBeLessThanOrEqual(20);
      budget.close();
    }),
    { numRuns: 60 },
  );
}, 60_000);

test('F10: reads leave room for orders, and orders for lookups and cancels', async () => {
  const clock = new ManualClock();
  const broker = new FixedWindows(clock, 100, 0);
  const budget = aBudget(clock, { limit: 100 });

  expect(await use(budget, broker, 'read', 1_000)).toBe(70);
  expect(await use(budget, broker, 'order', 1_000)).toBe(10);
  expect(await use(budget, broker, 'lookup', 1_000)).toBe(18);
  expect(await use(budget, broker, 'cancel', 1_000)).toBe(2);
  expect(broker.most()).toBe(100);
});

test('those that wait go in the order cancel, order, lookup, read', async () => {
  const clock = new ManualClock();
  const budget = aBudget(clock, { limit: 100, inFlight: 1 });
  const held: ReturnType<typeof taken>[] = [];
  for (const lane of ['read', ...Array<BudgetLane>(4).fill('order'), ...Array<BudgetLane>(4).fill('cancel')] as const) {
    held.push(taken(await budget.admit(lane, 0)));
  }
  const went: BudgetLane[] = [];
  for (const lane of ['read', 'lookup', 'order', 'cancel'] as const) {
    void budget.admit(lane, 30_000).then((admission) => {
      went.push(lane);
      taken(admission).release();
    });
  }

  for (const permit of held) permit.release();
  await clock.advance(1);

  expect(went).toEqual(['cancel', 'order', 'lookup', 'read']);
});

test('what cannot come in time is refused at once with the time to wait; what can waits', async () => {
  const clock = new ManualClock();
  const broker = new FixedWindows(clock, 20, 0);
  const budget = aBudget(clock);
  await use(budget, broker, 'read', 1_000);

  const refused = await budget.admit('read', 5_000);
  const waiting = budget.admit('read', 70_000);
  await clock.advance(62_000);

  expect(refused).toMatchObject({ kind: 'refused', reason: 'budget', retryAfterS: expect.any(Number) });
  if (refused.kind === 'refused') expect(refused.retryAfterS).toBeGreaterThanOrEqual(59);
  expect((await waiting).kind).toBe('admitted');
});

test('a full queue refuses instead of growing', async () => {
  const clock = new ManualClock();
  const budget = aBudget(clock, { inFlight: 1, waiting: 2 });
  const held = taken(await budget.admit('read', 0));
  const waiting = [budget.admit('read', 1_000), budget.admit('read', 1_000)];

  expect(await budget.admit('read', 1_000)).toMatchObject({ kind: 'refused', reason: 'crowd' });
  await clock.advance(1_001);

  expect((await Promise.all(waiting)).map((one) => one.kind === 'refused' && one.reason)).toEqual([
    'deadline',
    'deadline',
  ]);
  held.release();
});

test('a 429 stops every lane for as long as the broker asks, and no longer', async () => {
  const clock = new ManualClock();
  const budget = aBudget(clock);
  budget.pause(7_000);

  const early = await budget.admit('cancel', 6_000);
  const cancel = budget.admit('cancel', 8_000);
  await clock.advance(7_001);

  expect(early).toMatchObject({ kind: 'refused', retryAfterS: 7 });
  expect((await cancel).kind).toBe('admitted');
});

test.each([
  ['in the past', -100],
  ['an hour off', 3_600],
])(
  'F10: a reset that is %s neither stops the account for ever nor blinds it to the next answers',
  async (_name, offS) => {
    const clock = new ManualClock();
    const broker = new FixedWindows(clock, 20, 0);
    const budget = aBudget(clock);
    const odd = { ...broker.take(), resetAtS: Math.floor(clock.now() / 1000) + offS };
    taken(await budget.admit('read', 0)).release(odd);

    await use(budget, broker, 'read', 1_000);
    await clock.advance(WINDOW_MS + 3_000);

    expect(await use(budget, broker, 'read', 1_000)).toBeGreaterThan(10);
    expect(broker.most()).toBeLessThanOrEqual(20);
  },
);

test('what was not sent is not counted', async () => {
  const clock = new ManualClock();
  const budget = aBudget(clock);
  for (let call = 0; call < 100; call += 1) taken(await budget.admit('order', 0)).giveBack();

  expect(budget.state().remaining).toBe(20);
});

test('what is still under way when a window turns is counted in the next one', async () => {
  const clock = new ManualClock();
  const budget = aBudget(clock, { limit: 10, inFlight: 20 });
  for (let call = 0; call < 4; call += 1) taken(await budget.admit('cancel', 0));

  await clock.advance(WINDOW_MS + 1);

  expect(budget.state().remaining).toBe(6);
  const admitted = await Promise.all(Array.from({ length: 10 }, () => budget.admit('cancel', 0)));
  expect(admitted.filter(({ kind }) => kind === 'admitted').length).toBe(6);
});
