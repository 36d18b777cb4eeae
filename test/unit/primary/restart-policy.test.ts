import { expect, test } from '@jest/globals';
import { RestartPolicy } from '../../../src/primary/restart-policy.js';
import { ManualClock } from '../../support/manual-clock.js';

test('workers that die young are replaced after ever longer waits, and from the fifth on it is a loop', () => {
  const policy = new RestartPolicy(new ManualClock());

  const delays = Array.from({ length: 5 }, () => policy.delayAfter(undefined));
  expect(delays).toEqual([0, 0, 200, 400, 800]);
  expect(policy.isLooping()).toBe(true);
  for (let death = 0; death < 20; death += 1) policy.delayAfter(undefined);
  expect(policy.delayAfter(undefined)).toBe(30_000);
});

test('a worker that had lived ends the loop: it is replaced at once', async () => {
  const clock = new ManualClock();
  const policy = new RestartPolicy(clock);
  for (let death = 0; death < 6; death += 1) policy.delayAfter(clock.monotonicMs());
  const readyAt = clock.monotonicMs();
  await clock.advance(10_000);

  expect(policy.delayAfter(readyAt)).toBe(0);
  expect(policy.isLooping()).toBe(false);
});
