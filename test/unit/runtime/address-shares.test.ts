import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { AddressShares } from '../../../src/kernel/runtime/address-shares.js';

test('the first of another address gets in when one address holds all', () => {
  const shares = new AddressShares<number>({ max: 3, maxPerAddress: 3 });
  for (const holder of [1, 2, 3]) expect(shares.take('crowd', holder)).toBeUndefined();

  expect(shares.take('balancer', 4)).toBe(1);
  expect(shares.take('crowd', 5)).toBe(2);
  expect(shares.size).toBe(3);
});

test('an address that is full gives way to itself', () => {
  const shares = new AddressShares<number>({ max: 10, maxPerAddress: 2 });
  shares.take('a', 1);
  shares.take('a', 2);

  expect(shares.take('a', 3)).toBe(1);
  expect(shares.release('a', 1)).toBe(false);
  expect(shares.release('a', 2)).toBe(true);
  expect(shares.take('a', 4)).toBeUndefined();
});

test('whatever comes and goes, the bounds hold, and the one that gives way is the oldest of the largest', () => {
  const acts = fc.array(fc.record({ address: fc.integer({ min: 0, max: 4 }), leaves: fc.boolean() }), {
    maxLength: 200,
  });
  fc.assert(
    fc.property(acts, fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }), (steps, max, maxPerAddress) => {
      const shares = new AddressShares<number>({ max, maxPerAddress });
      let held: { readonly address: string; readonly holder: number }[] = [];
      for (const [holder, { address: number, leaves }] of steps.entries()) {
        const address = String(number);
        const ofAddress = held.filter((one) => one.address === address);
        if (leaves && ofAddress[0] !== undefined) {
          expect(shares.release(address, ofAddress[0].holder)).toBe(true);
          held = held.filter((one) => one !== ofAddress[0]);
          continue;
        }
        const evicted = shares.take(address, holder);
        const most = Math.max(0, ...held.map((one) => held.filter((other) => other.address === one.address).length));
        const mustYield = ofAddress.length >= maxPerAddress || held.length >= max;
        expect(evicted !== undefined).toBe(mustYield);
        if (evicted !== undefined) {
          const from = held.find((one) => one.holder === evicted)?.address;
          const theirs = held.filter((one) => one.address === from);
          expect(theirs[0]?.holder).toBe(evicted);
          expect(ofAddress.length >= maxPerAddress ? from === address : theirs.length === most).toBe(true);
          held = held.filter((one) => one.holder !== evicted);
        }
        held.push({ address, holder });
        expect(shares.size).toBe(held.length);
      }
    }),
  );
});
