import { expect, test } from '@jest/globals';
import { SharedLimiter, type AllowanceStore, type Grant } from '../../../src/workers/http/shared-limiter.js';
import { ManualClock } from '../../support/manual-clock.js';

/** What Redis does, in memory; silent while `isAway`. */
class Counter implements AllowanceStore {
  readonly used = new Map<string, number>();
  asked = 0;
  isAway = false;

  grant(key: string, limit: number, parts: number): Promise<Grant> {
    this.asked += 1;
    if (this.isAway) return Promise.reject(new TypeError('away'));
    const free = limit - (this.used.get(key) ?? 0);
    const granted = Math.max(0, Math.min(free, Math.max(1, Math.floor(free / parts))));
    this.used.set(key, (this.used.get(key) ?? 0) + granted);
    return Promise.resolve({ granted, free: Math.max(0, free - granted), resetsInMs: 60_000 });
  }

  giveBack(key: string, count: number): void {
    this.used.set(key, (this.used.get(key) ?? 0) - count);
  }
}

const WORKERS = 4;

function limiters(perMinute: number): { clock: ManualClock; store: Counter; all: readonly SharedLimiter[] } {
  const clock = new ManualClock();
  const store = new Counter();
  const one = (): SharedLimiter =>
    new SharedLimiter({ store, what: 'subject', perMinute, workers: () => WORKERS, clock });
  return { clock, store, all: Array.from({ length: WORKERS }, one) };
}

async function allowed(limiter: SharedLimiter | undefined, requests: number): Promise<number> {
  let count = 0;
  for (let request = 0; request < requests; request += 1) {
    if ((await limiter?.acquire('anna'))?.allowed === true) count += 1;
  }
  return count;
}

test('one worker alone may use the whole limit, and asks far less often than it is asked', async () => {
  const { store, all } = limiters(1_000);

  expect(await allowed(all[0], 1_100)).toBe(1_000);
  expect(store.asked).toBeLessThan(120);
});

test('many workers at once never exceed the limit together, and leave hardly anything of it', async () => {
  const { all } = limiters(100);

  const counts = await Promise.all(
    all.flatMap((limiter) => Array.from({ length: 60 }, async () => ((await limiter.acquire('anna')).allowed ? 1 : 0))),
  );

  expect(counts.reduce<number>((sum, count) => sum + count, 0)).toBe(100);
});

test('what a worker was granted and does not use is given back for the others', async () => {
  const { clock, all } = limiters(80);
  await allowed(all[0], 1);
  const before = await allowed(all[1], 100);

  await clock.advance(2_000);
  const after = await allowed(all[1], 100);

  expect([before < 79, before + after]).toEqual([true, 79]);
});

test('subjects do not share, and a new minute begins with everything', async () => {
  const { clock, store, all } = limiters(10);
  await allowed(all[0], 20);
  expect((await all[0]?.acquire('berta'))?.allowed).toBe(true);
  expect((await all[0]?.acquire('anna'))?.allowed).toBe(false);

  store.used.clear();
  await clock.advance(61_000);

  expect(await allowed(all[0], 20)).toBe(10);
});

test('while the store is away each worker has its part of the limit', async () => {
  const { store, all } = limiters(100);
  store.isAway = true;

  expect(await Promise.all(all.map((limiter) => allowed(limiter, 60)))).toEqual([25, 25, 25, 25]);
});

test('an allowance says the limit, what is left anywhere, and when it begins anew', async () => {
  const { all } = limiters(100);

  expect(await all[0]?.acquire('anna')).toEqual({ allowed: true, limit: 100, remaining: 99, resetsInS: 60 });
  expect(all[0]?.take('anna')).toMatchObject({ remaining: 98 });
  expect(all[1]?.take('anna')).toBeUndefined();
});
