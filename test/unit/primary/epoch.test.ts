import { expect, test } from '@jest/globals';
import { composeEpoch, highPartOf, nextHighPart } from '../../../src/primary/leases/epoch.js';

test('a later second outranks any count of an earlier one', () => {
  expect(composeEpoch(1_001, 0)).toBeGreaterThan(composeEpoch(1_000, 2 ** 20 - 1));
});

test('an epoch of the year 2100 is still a safe integer', () => {
  expect(Number.isSafeInteger(composeEpoch(Date.UTC(2100, 0, 1) / 1000, 2 ** 20 - 1))).toBe(true);
});

test('a clock slightly behind an epoch already used goes on from that epoch', () => {
  expect(nextHighPart(1_000_000, composeEpoch(1_100, 7))).toBe(1_100);
});

test('a clock far behind an epoch already used refuses to trade until an operator looks', () => {
  expect(() => nextHighPart(1_000_000, composeEpoch(2_000, 7))).toThrow('behind epochs');
});

test('the high part comes back out of an epoch', () => {
  expect(highPartOf(composeEpoch(1_764_000_000, 12))).toBe(1_764_000_000);
});
