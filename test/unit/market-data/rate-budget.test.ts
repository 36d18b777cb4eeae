import { expect, test } from '@jest/globals';
import { RateBudget } from '../../../src/workers/market-data/rate-budget.js';
import { ManualClock } from '../../support/manual-clock.js';

test('a successor has what its predecessor had left, and what the time since has given back', () => {
  const clock = new ManualClock();
  const budget = new RateBudget(60, clock);

  budget.inherit(3, 2_000);

  expect(budget.left()).toBe(5);
});

test('more than a minute later the whole budget is there, and never more', () => {
  const clock = new ManualClock();
  const budget = new RateBudget(60, clock);

  budget.inherit(0, 90_000);

  expect(budget.left()).toBe(60);
});

test('while others may spend from the key unseen only a part is used, and the whole comes back slowly', async () => {
  const clock = new ManualClock();
  const budget = new RateBudget(60, clock);

  budget.useShare(1 / 3);
  expect(budget.left()).toBe(20);
  for (let call = 0; call < 20; call += 1) expect((await budget.take(0)).kind).toBe('go');
  expect(await budget.take(0)).toEqual({ kind: 'refused', retryAfterS: 3 });

  budget.useShare(1);
  expect(budget.left()).toBe(0);
});
