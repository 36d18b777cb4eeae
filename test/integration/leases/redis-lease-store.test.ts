/** Against a real Redis, started here on a socket of its own. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RedisLeaseStore } from '../../../src/primary/leases/redis-lease-store.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import type { LeaseBeat } from '../../../src/primary/leases/lease-store.js';
import { hasRedis, startRedis, type RedisProcess } from '../../support/redis-process.js';

const whenRedis = hasRedis() ? test : test.skip;
let redis: RedisProcess | undefined;
const stores: RedisLeaseStore[] = [];

beforeAll(async () => {
  if (hasRedis()) redis = await startRedis();
});

afterAll(async () => {
  for (const store of stores) await store.close();
  await redis?.stop();
});

function aStore(keyPrefix: string): RedisLeaseStore {
  const store = new RedisLeaseStore(
    { url: redis?.url ?? '', keyPrefix, slots: 4, commandTimeoutMs: 500 },
    new SystemClock(),
    silentLog,
  );
  stores.push(store);
  return store;
}

const aBeat = (instanceId: string, over: Partial<LeaseBeat> = {}): LeaseBeat => ({
  instanceId,
  advertiseUrl: `http://${instanceId}`,
  ttlMs: 5_000,
  renew: [],
  release: [],
  acquire: [],
  epochFloor: 1_800_000_000 * 2 ** 20,
  member: true,
  ...over,
});

whenRedis('a free slot is taken once, and a second instance sees who has it', async () => {
  const store = aStore('taken-once');

  const first = await store.beat(aBeat('a', { acquire: [0, 1] }));
  const second = await store.beat(aBeat('b', { acquire: [0] }));

  expect(first.acquired.map(({ slot }) => slot)).toEqual([0, 1]);
  expect(second.acquired).toEqual([]);
  expect(second.owners[0]).toEqual({ instanceId: 'a', epoch: first.acquired[0]?.epoch });
  expect(second.members).toEqual([
    { instanceId: 'a', advertiseUrl: 'http://a' },
    { instanceId: 'b', advertiseUrl: 'http://b' },
  ]);
});

whenRedis('a renewal under an old epoch does not touch the new lease, nor does a release', async () => {
  const store = aStore('old-epoch');
  const taken = await store.beat(aBeat('a', { acquire: [2] }));
  const epoch = taken.acquired[0]?.epoch ?? 0;

  const view = await store.beat(aBeat('a', { release: [{ slot: 2, epoch: epoch - 1 }] }));
  expect(view.owners[2]).toEqual({ instanceId: 'a', epoch });

  const released = await store.beat(aBeat('a', { release: [{ slot: 2, epoch }] }));
  expect(released.owners[2]).toBeUndefined();
});

whenRedis('epochs are exact integers above the floor, also after the store lost everything', async () => {
  const store = aStore('floor');
  const floor = 1_800_000_000 * 2 ** 20;

  const first = await store.beat(aBeat('a', { acquire: [3] }));
  await redis?.command('FLUSHALL');
  const second = await store.beat(aBeat('b', { acquire: [3], epochFloor: floor + 2 ** 20 }));

  expect(first.acquired[0]?.epoch).toBe(floor);
  expect(second.acquired[0]?.epoch).toBe(floor + 2 ** 20);
});

whenRedis('a lease that is not renewed runs out, and its successor is told that it was not released', async () => {
  const store = aStore('runs-out');
  await store.beat(aBeat('a', { acquire: [1], ttlMs: 60 }));

  let view = await store.beat(aBeat('b', { acquire: [1], ttlMs: 5_000 }));
  for (const deadline = Date.now() + 5_000; view.acquired.length === 0 && Date.now() < deadline;) {
    view = await store.beat(aBeat('b', { acquire: [1], ttlMs: 5_000 }));
  }

  expect(view.acquired[0]).toMatchObject({ slot: 1, clean: false });
});

whenRedis('a store that does not answer in time fails the beat', async () => {
  const store = aStore('away');
  await store.beat(aBeat('a'));
  redis?.pause();

  await expect(store.beat(aBeat('a'))).rejects.toThrow();

  redis?.resume();
  await expect(store.beat(aBeat('a'))).resolves.toBeDefined();
});
