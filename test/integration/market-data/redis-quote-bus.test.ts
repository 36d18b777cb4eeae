/** Against a real Redis, started here on a port of its own. */
import { afterEach, expect, test } from '@jest/globals';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import { RedisQuoteBus } from '../../../src/workers/market-data/redis-quote-bus.js';
import { eventually } from '../../support/eventually.js';
import { hasRedis, startRedis, type RedisProcess } from '../../support/redis-process.js';

const whenRedis = hasRedis() ? test : test.skip;
let redis: RedisProcess | undefined;
const buses: RedisQuoteBus[] = [];

afterEach(async () => {
  for (const bus of buses.splice(0)) bus.close();
  await redis?.stop();
  redis = undefined;
});

async function aBus(): Promise<RedisQuoteBus> {
  redis ??= await startRedis();
  const bus = new RedisQuoteBus({ url: redis.url, keyPrefix: 'test:' }, new SystemClock(), silentLog);
  buses.push(bus);
  await eventually('connected', () => bus.isUp());
  return bus;
}

whenRedis('messages come whole and in order, and again after a Redis that was replaced', async () => {
  const [from, to] = [await aBus(), await aBus()];
  const heard: string[] = [];
  to.listen('followers', (message) => heard.push(Buffer.from(message).toString('utf8')));
  await eventually('listens', () => {
    from.send('followers', Buffer.from('first'));
    return heard.length > 0;
  });

  const text = `a line\n${'é'.repeat(100_000)}`;
  expect(from.send('hub', Buffer.from('for nobody'))).toBe(true);
  expect(from.send('followers', Buffer.from(text))).toBe(true);
  expect(from.send('followers', Buffer.from('after'))).toBe(true);
  await eventually('both', () => heard.at(-1) === 'after');
  expect(heard.at(-2)).toBe(text);

  await redis?.restartEmpty();
  await eventually('heard again', () => {
    from.send('followers', Buffer.from('back'));
    return heard.at(-1) === 'back';
  });
  expect(heard).not.toContain('for nobody');
});

whenRedis('a Redis that stands still takes a bounded number of messages, then none, and is not up', async () => {
  const bus = await aBus();
  redis?.pause();
  try {
    let taken = 0;
    while (bus.send('followers', Buffer.alloc(1_000)) && taken < 10_000) taken += 1;

    expect(taken).toBe(64);
    await eventually('noticed', () => !bus.isUp());
  } finally {
    redis?.resume();
  }
  await eventually('up again', () => {
    bus.send('followers', Buffer.from('x'));
    return bus.isUp();
  });
});
