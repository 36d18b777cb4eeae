import { expect, test } from '@jest/globals';
import { SharedQuestion } from '../../../src/workers/streams/shared-question.js';

/** Calls that are answered by hand, in the order in which they began. */
class Calls {
  readonly begun: { resolve: (value: number) => void; reject: (cause: unknown) => void }[] = [];

  readonly begin = (): Promise<number> =>
    new Promise((resolve, reject) => {
      this.begun.push({ resolve, reject });
    });
}

test('who asks while a call is under way shares the next one, which begins after he asked', async () => {
  const [question, calls] = [new SharedQuestion<number>(), new Calls()];
  const first = question.ask('a', calls.begin);
  const [second, third] = [question.ask('a', calls.begin), question.ask('a', calls.begin)];
  expect(calls.begun).toHaveLength(1);
  calls.begun[0]?.resolve(1);
  expect(await first).toBe(1);
  expect(calls.begun).toHaveLength(2);
  const fourth = question.ask('a', calls.begin);
  calls.begun[1]?.resolve(2);
  expect([await second, await third]).toEqual([2, 2]);
  calls.begun[2]?.resolve(3);
  expect(await fourth).toBe(3);
  expect(calls.begun).toHaveLength(3);

  void question.ask('a', calls.begin);
  void question.ask('b', calls.begin);
  expect(calls.begun).toHaveLength(5);
});

test('a call that fails fails for its askers only', async () => {
  const [question, calls] = [new SharedQuestion<number>(), new Calls()];
  const first = question.ask('a', calls.begin);
  const second = question.ask('a', calls.begin);
  calls.begun[0]?.reject(new TypeError('gone'));

  await expect(first).rejects.toThrow('gone');
  calls.begun[1]?.resolve(2);
  expect(await second).toBe(2);
});
