import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseAccountId, type AccountId } from '../../../src/kernel/domain/identifiers.js';
import { movesBetween, partition, type Ownership } from '../../../src/primary/partition.js';

const accounts = (count: number): readonly AccountId[] =>
  Array.from({ length: count }, (_, n) => parseAccountId(`a${n}`));
const sizes = (ownership: Ownership, slots: readonly number[]): readonly number[] =>
  slots.map((slot) => [...ownership.values()].filter((owner) => owner === slot).length);
const slotSets = fc.uniqueArray(fc.nat(40), { minLength: 1, maxLength: 12 });
const nobody: Ownership = new Map();

/** The fewest accounts that must move: those without a living owner, and what is above the largest fair shares. */
function fewestMoves(count: number, slots: readonly number[], held: readonly number[]): number {
  const even = Math.floor(count / slots.length);
  const larger = count % slots.length;
  const kept = [...held].sort((a, b) => b - a).map((had, place) => Math.min(had, even + (place < larger ? 1 : 0)));
  return count - kept.reduce((sum, one) => sum + one, 0);
}

test('every account has an owner and no two slots differ by more than one', () => {
  fc.assert(
    fc.property(fc.nat(300), slotSets, (count, slots) => {
      const ownership = partition(accounts(count), slots, nobody);
      const loads = sizes(ownership, slots);
      expect(ownership.size).toBe(count);
      expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
      expect(loads.reduce((sum, load) => sum + load, 0)).toBe(count);
    }),
  );
});

test('when slots or accounts come or go, balance is kept and no account moves in vain', () => {
  fc.assert(
    fc.property(fc.nat(200), fc.nat(200), slotSets, slotSets, (before, after, oldSlots, newSlots) => {
      const old = partition(accounts(before), oldSlots, nobody);
      const ownership = partition(accounts(after), newSlots, old);
      const loads = sizes(ownership, newSlots);
      expect(Math.max(...loads) - Math.min(...loads)).toBeLessThanOrEqual(1);
      const stillThere: Ownership = new Map([...old].filter(([account]) => ownership.has(account)));
      expect(movesBetween(old, ownership).size).toBe(fewestMoves(after, newSlots, sizes(stillThere, newSlots)));
    }),
  );
});

test('a partition that is balanced already stays as it is', () => {
  const ownership = partition(accounts(61), [0, 1, 2, 3], nobody);
  expect(partition(accounts(61), [3, 2, 1, 0], ownership)).toEqual(ownership);
});
