import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AttemptResult, Evidence } from '../../../src/workers/orders/core/evidence.js';
import { judge } from '../../../src/workers/orders/core/outcome.js';

const order = fc.record({
  id: fc.constant('o1'),
  client_order_id: fc.constant('g1'),
  status: fc.constantFrom('new', 'partially_filled', 'filled', 'canceled'),
  filled_qty: fc.constantFrom('0', '1', '2'),
});
const result: fc.Arbitrary<AttemptResult> = fc.oneof(
  fc.constant({ kind: 'under-way' as const }),
  fc.constant({ kind: 'not-sent' as const, reason: 'connect', detail: '' }),
  fc.constant({ kind: 'throttled' as const }),
  fc.constant({ kind: 'duplicate-id' as const, status: 422, alpaca: { status: 422 } }),
  fc.constant({ kind: 'ambiguous' as const, detail: '' }),
  fc.constantFrom(403, 422).map((status) => ({ kind: 'refused' as const, status, alpaca: { status } })),
  order.map((seen) => ({ kind: 'accepted' as const, order: seen, body: JSON.stringify(seen) })),
);
const evidence: fc.Arbitrary<Evidence> = fc.oneof(
  fc.record({ kind: fc.constant('attempt' as const), attempt: fc.constantFrom(1, 2), result }),
  fc.constant({ kind: 'taken-over' as const }),
  fc.constant({ kind: 'given-up' as const }),
  order.map((seen) => ({ kind: 'seen' as const, channel: 'stream' as const, order: seen })),
);

test('any order, repetition or lateness of the same evidence gives the same verdict', () => {
  const shuffled = fc
    .array(evidence, { maxLength: 8 })
    .chain((list) =>
      fc.tuple(
        fc.constant(list),
        fc.shuffledSubarray([...list, ...list], { minLength: 2 * list.length, maxLength: 2 * list.length }),
      ),
    );
  fc.assert(
    fc.property(shuffled, ([list, again]) => {
      expect(judge(again)).toEqual(judge(list));
    }),
    { numRuns: 10_000 },
  );
});

test('positive evidence always wins, whatever else was heard', () => {
  fc.assert(
    fc.property(fc.array(evidence, { maxLength: 8 }), order, fc.nat(8), (list, seen, at) => {
      const all = [
        ...list.slice(0, at),
        { kind: 'seen' as const, channel: 'lookup' as const, order: seen },
        ...list.slice(at),
      ];

      expect(judge(all).state).toBe('ACKED');
    }),
    { numRuns: 10_000 },
  );
});

test('more evidence never turns an unknown outcome into a negative one unless it ends the attempt itself', () => {
  const ambiguous: Evidence = { kind: 'attempt', attempt: 1, result: { kind: 'ambiguous', detail: '' } };
  const second = result.map((ended): Evidence => ({ kind: 'attempt', attempt: 2, result: ended }));
  fc.assert(
    fc.property(fc.array(second, { maxLength: 6 }), (list) => {
      expect(['REJECTED', 'NOT_SENT', 'NONE']).not.toContain(judge([ambiguous, ...list]).state);
    }),
  );
});

test.each<[string, Evidence[], string]>([
  ['nothing sent', [], 'NONE'],
  ['a sole complete refusal', [attempt(1, { kind: 'refused', status: 403, alpaca: {} })], 'REJECTED'],
  [
    'a refusal after a lost answer',
    [attempt(1, { kind: 'ambiguous', detail: '' }), attempt(2, { kind: 'refused', status: 403, alpaca: {} })],
    'UNKNOWN',
  ],
  [
    'a refusal after a throttled attempt',
    [attempt(1, { kind: 'throttled' }), attempt(2, { kind: 'refused', status: 422, alpaca: {} })],
    'REJECTED',
  ],
  [
    'a refusal after a takeover',
    [{ kind: 'taken-over' }, attempt(2, { kind: 'refused', status: 403, alpaca: {} })],
    'UNKNOWN',
  ],
  [
    'a duplicate id after a lost answer',
    [attempt(1, { kind: 'ambiguous', detail: '' }), attempt(2, { kind: 'duplicate-id', status: 422, alpaca: {} })],
    'EXISTS',
  ],
  [
    'a duplicate id on the only attempt and another order under it',
    [attempt(1, { kind: 'duplicate-id', status: 422, alpaca: {} }), { kind: 'seen-other', order: {} }],
    'CONFLICT',
  ],
  ['an attempt under way', [attempt(1, { kind: 'under-way' })], 'UNKNOWN'],
])('%s is %s', (_name, list, state) => {
  expect(judge(list).state).toBe(state);
});

function attempt(number: number, ended: AttemptResult): Evidence {
  return { kind: 'attempt', attempt: number, result: ended };
}
