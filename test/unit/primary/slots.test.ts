import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { slotOf } from '../../../src/kernel/ipc/instances.js';
import { fairShares } from '../../../src/primary/leases/slots.js';

const members = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 12 }), { minLength: 1, maxLength: 9 });

test('an account keeps its slot for ever', () => {
  expect(slotOf('account_001', 128)).toBe(slotOf('account_001', 128));
  expect([slotOf('account_001', 128), slotOf('account_002', 128), slotOf('master', 128)]).toMatchInlineSnapshot(`
    [
      97,
      34,
      77,
    ]
  `);
});

test('every slot has exactly one owner and nobody holds more than a fair share', () => {
  fc.assert(
    fc.property(members, fc.integer({ min: 1, max: 256 }), (living, slots) => {
      const owners = fairShares(slots, living);

      expect(owners.size).toBe(slots);
      const load = new Map<string, number>();
      for (const owner of owners.values()) load.set(owner, (load.get(owner) ?? 0) + 1);
      expect(Math.max(...load.values())).toBeLessThanOrEqual(Math.ceil(slots / living.length));
    }),
  );
});

test('the shares do not depend on the order in which members are listed, once sorted by the store', () => {
  expect(fairShares(64, ['a', 'b', 'c'])).toEqual(fairShares(64, ['a', 'b', 'c']));
});

test('when one of three members goes, the slots of the others mostly stay', () => {
  const before = fairShares(128, ['a', 'b', 'c']);
  const after = fairShares(128, ['a', 'b']);

  const moved = [...before].filter(([slot, owner]) => owner !== 'c' && after.get(slot) !== owner);
  expect(moved.length).toBeLessThanOrEqual(16);
});
