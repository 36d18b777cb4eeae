import { expect, test } from '@jest/globals';
import { Turns } from '../../../src/workers/streams/turns.js';
import { ManualClock } from '../../support/manual-clock.js';

test('each has one turn an interval, a few at a time, until it is gone', async () => {
  const clock = new ManualClock();
  const turns = new Turns<number>();
  for (let one = 0; one < 100; one += 1) turns.add(one);
  const stop = new AbortController();
  const looks: { readonly one: number; readonly at: number }[] = [];
  const looking = turns.each(1_000, (one) => looks.push({ one, at: clock.monotonicMs() }), clock, stop.signal);

  for (let ms = 0; ms < 1_000; ms += 10) await clock.advance(10);

  expect(looks.map(({ one }) => one).sort((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, one) => one));
  const atOnce = new Map<number, number>();
  for (const { at } of looks) atOnce.set(at, (atOnce.get(at) ?? 0) + 1);
  expect(Math.max(...atOnce.values())).toBe(5);

  for (const one of turns.all().slice(1)) turns.delete(one);
  looks.length = 0;
  for (let ms = 0; ms < 3_000; ms += 10) await clock.advance(10);
  expect([turns.size, looks.map(({ one }) => one)]).toEqual([1, [0, 0, 0]]);
  stop.abort();
  await looking;
});
