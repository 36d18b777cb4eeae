import { expect, test } from '@jest/globals';
import { RestartPolicy } from '../../../src/primary/restart-policy.js';
import { ManualClock } from '../../support/manual-clock.js';

test('workers that die young are replaced after ever longer waits', () => {
  const policy = new RestartPolicy(new ManualClock());

  const delays = Array.from({ length: 5 }, () => policy.delayAfter(undefined));
  expect(delays).toEqual([0, 0, 200, 400, 800]);
  for (let death = 0; death < 20; death += 1) policy.delayAfter(undefined);
  expect(policy.delayAfter(undefined)).toBe(30_000);
});

test('a worker that had lived ends the waits: it is replaced at once', async () => {
  const clock = new ManualClock();
  const policy = new RestartPolicy(clock);
  for (let death = 0; death < 6; death += 1) policy.delayAfter(clock.monotonicMs());
  const readyAt = clock.monotonicMs();
  await clock.advance(10_000);

  expect(policy.delayAfter(readyAt)).toBe(0);
});

test('three deaths within 60 s are trouble, however long the workers had lived', async () => {
  const clock = new ManualClock();
  const policy = new RestartPolicy(clock);
  policy.delayAfter(clock.monotonicMs());
  await clock.advance(29_000);
  policy.delayAfter(0);
  expect(policy.isTroubled()).toBe(false);
  await clock.advance(30_000);
  policy.delayAfter(0);

  expect(policy.isTroubled()).toBe(true);
});

test('three deaths over more than 60 s are no trouble', async () => {
  const clock = new ManualClock();
  const policy = new RestartPolicy(clock);
  for (let death = 0; death < 6; death += 1) {
    policy.delayAfter(0);
    await clock.advance(30_000);
  }

  expect(policy.isTroubled()).toBe(false);
});

test('trouble is forgotten after 60 s without a death, and not before', async () => {
  const clock = new ManualClock();
  const policy = new RestartPolicy(clock);
  for (let death = 0; death < 5; death += 1) policy.delayAfter(undefined);
  await clock.advance(59_999);
  expect(policy.isTroubled()).toBe(true);
  await clock.advance(1);

  expect(policy.isTroubled()).toBe(false);
  expect(policy.delayAfter(undefined)).toBe(0);
  expect(policy.isTroubled()).toBe(false);
});
