/** Against a real Redis, started here on a port of its own. */
import { afterEach, expect, test } from '@jest/globals';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import { openSharedLimits, type SharedLimits } from '../../../src/workers/http/shared-limits.js';
import type { Limiter } from '../../../src/workers/http/window-limiter.js';
import { hasRedis, startRedis, type RedisProcess } from '../../support/redis-process.js';

const whenRedis = hasRedis() ? test : test.skip;
let redis: RedisProcess | undefined;
const opened: SharedLimits[] = [];

afterEach(async () => {
  for (const limits of opened.splice(0)) limits.close();
  await redis?.stop();
  redis = undefined;
});

/** One worker's limiter, on a connection of its own. */
async function aWorker(perMinute: number): Promise<Limiter> {
  redis ??= await startRedis();
  const parts = { clock: new SystemClock(), log: silentLog };
  const limits = openSharedLimits({ url: redis.url, keyPrefix: 'test:' }, () => 2, parts);
  opened.push(limits);
  return limits.limiter('subject', perMinute);
}

async function counted(limiters: readonly Limiter[], requests: number): Promise<number> {
  const asked = limiters.flatMap((limiter) =>
    Array.from({ length: requests }, async () => (await limiter.acquire('anna')).allowed),
  );
  return (await Promise.all(asked)).filter(Boolean).length;
}

/** Until it is connected it has its half. */
async function isShared(limiter: Limiter): Promise<void> {
  const end = Date.now() + 8_000;
  while ((await limiter.acquire('probe')).limit !== 50) {
    if (Date.now() > end) throw new TypeError('it does not share');
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A minute that ends meanwhile begins another limit: count in one that does not. */
async function earlyInTheMinute(): Promise<void> {
  const leftMs = 60_000 - (Date.now() % 60_000);
  if (leftMs < 5_000) await new Promise((resolve) => setTimeout(resolve, leftMs));
}

whenRedis('two workers on one Redis use the limit once, and each its half when Redis is gone', async () => {
  const workers = [await aWorker(50), await aWorker(50)];
  for (const worker of workers) await isShared(worker);
  await earlyInTheMinute();

  expect(await counted(workers, 60)).toBe(50);

  redis?.pause();
  try {
    const alone = [await aWorker(50), await aWorker(50)];
    expect(await counted(alone, 60)).toBe(50);
    expect((await alone[0]?.acquire('berta'))?.limit).toBe(25);
  } finally {
    redis?.resume();
  }
});
