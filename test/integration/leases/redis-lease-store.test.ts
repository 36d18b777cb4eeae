/** Against a real Redis, started here on a port of its own. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RedisLeaseStore } from '../../../src/primary/leases/redis-lease-store.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import type { LeaseBeat, LeaseView } from '../../../src/primary/leases/lease-store.js';
import { openGate } from '../../support/tcp-gate.js';
import { hasRedis, startRedis, type RedisProcess } from '../../support/redis-process.js';

const whenRedis = hasRedis() ? test : test.skip;
const FLOOR = 1_800_000_000 * 2 ** 20;
let redis: RedisProcess | undefined;
const stores: RedisLeaseStore[] = [];

beforeAll(async () => {
  if (hasRedis()) redis = await startRedis();
});

afterAll(async () => {
  for (const store of stores) await store.close();
  await redis?.stop();
});

async function aStore(keyPrefix: string, { isYoung = false, url = redis?.url ?? '' } = {}): Promise<RedisLeaseStore> {
  const store = new RedisLeaseStore(
    { url, keyPrefix, slots: 4, commandTimeoutMs: 2_000 },
    new SystemClock(),
    silentLog,
  );
  stores.push(store);
  // A store is young for one time to live after its first beat: this one was born long ago.
  if (!isYoung) await redis?.command('SET', `{${keyPrefix}}:born`, '1');
  return store;
}

const aBeat = (instanceId: string, over: Partial<LeaseBeat> = {}): LeaseBeat => ({
  instanceId,
  advertiseUrl: `http://${instanceId}`,
  ttlMs: 60_000,
  renew: [],
  release: [],
  acquire: [],
  epochFloor: FLOOR,
  epochStep: 1024,
  halts: [],
  haltsVersion: 0,
  member: true,
  ...over,
});

async function beatUntil(
  store: RedisLeaseStore,
  beat: LeaseBeat,
  holds: (view: LeaseView) => boolean,
): Promise<LeaseView> {
  const deadline = Date.now() + 20_000;
  let view = await store.beat(beat);
  while (!holds(view) && Date.now() < deadline) view = await store.beat(beat);
  return view;
}

whenRedis('a free slot is taken once, and a second instance sees who has it', async () => {
  const store = await aStore('taken-once');

  const first = await store.beat(aBeat('a', { acquire: [0, 1] }));
  const second = await store.beat(aBeat('b', { acquire: [0] }));

  expect(first.acquired.map(({ slot }) => slot)).toEqual([0, 1]);
  expect(second.acquired).toEqual([]);
  expect(second.owners[0]).toEqual({ instanceId: 'a', epoch: first.acquired[0]?.epoch });
  expect([...second.members].sort((a, b) => (a.instanceId < b.instanceId ? -1 : 1))).toEqual([
    { instanceId: 'a', advertiseUrl: 'http://a' },
    { instanceId: 'b', advertiseUrl: 'http://b' },
  ]);
});

whenRedis('a renewal under an old epoch does not touch the new lease, nor does a release', async () => {
  const store = await aStore('old-epoch');
  const taken = await store.beat(aBeat('a', { acquire: [2] }));
  const epoch = taken.acquired[0]?.epoch ?? 0;

  const view = await store.beat(aBeat('a', { release: [{ slot: 2, epoch: epoch - 1 }] }));
  expect(view.owners[2]).toEqual({ instanceId: 'a', epoch });

  const released = await store.beat(aBeat('a', { release: [{ slot: 2, epoch }] }));
  expect(released.owners[2]).toBeUndefined();
  const late = await store.beat(aBeat('a', { renew: [{ slot: 2, epoch }] }));
  expect(late.owners[2]).toBeUndefined();
});

whenRedis('a released slot is told to be clean and begins far above its last epoch', async () => {
  const store = await aStore('released');
  const taken = await store.beat(aBeat('a', { acquire: [2] }));
  const epoch = taken.acquired[0]?.epoch ?? 0;
  await store.beat(aBeat('a', { release: [{ slot: 2, epoch }] }));

  const next = await store.beat(aBeat('b', { acquire: [2] }));

  expect(next.acquired).toEqual([{ slot: 2, epoch: epoch + 1024, before: 'released' }]);
});

whenRedis('a store that lost everything takes leases back from their holders and gives no new ones yet', async () => {
  const store = await aStore('emptied');
  const first = await store.beat(aBeat('a', { acquire: [3] }));
  const held = { slot: 3, epoch: first.acquired[0]?.epoch ?? 0 };
  await redis?.command('FLUSHALL');

  const thief = await store.beat(aBeat('b', { acquire: [0, 3] }));
  const holder = await store.beat(aBeat('a', { renew: [held] }));
  const again = await store.beat(aBeat('b', { acquire: [3] }));

  expect(thief.acquired).toEqual([]);
  expect(holder.owners[3]).toEqual({ instanceId: 'a', epoch: held.epoch });
  expect(again.owners[3]).toEqual({ instanceId: 'a', epoch: held.epoch });
});

whenRedis('a store gives leases once it is older than a time to live, at the floor that is asked for', async () => {
  const store = await aStore('young', { isYoung: true });
  const beat = aBeat('a', { acquire: [1], ttlMs: 200 });

  const first = await store.beat(beat);
  const view = await beatUntil(store, beat, ({ acquired }) => acquired.length > 0);

  expect(first.acquired).toEqual([]);
  expect(view.acquired).toEqual([{ slot: 1, epoch: FLOOR, before: 'never-held' }]);
});

whenRedis('a lease that is not renewed runs out, and its successor is told that it was not released', async () => {
  const store = await aStore('runs-out');
  await store.beat(aBeat('a', { acquire: [1], ttlMs: 60 }));

  const view = await beatUntil(store, aBeat('b', { acquire: [1] }), ({ acquired }) => acquired.length > 0);

  expect(view.acquired[0]).toMatchObject({ slot: 1, before: 'expired' });
});

whenRedis('a lease that ran out is put back under its epoch unless another took it', async () => {
  const store = await aStore('put-back');
  const taken = await store.beat(aBeat('a', { acquire: [0, 1], ttlMs: 60 }));
  const renew = taken.acquired.map(({ slot, epoch }) => ({ slot, epoch }));
  await beatUntil(store, aBeat('b'), ({ owners }) => owners[0] === undefined);
  await store.beat(aBeat('b', { acquire: [1] }));

  const view = await store.beat(aBeat('a', { renew }));

  expect(view.owners[0]).toEqual({ instanceId: 'a', epoch: renew[0]?.epoch });
  expect(view.owners[1]?.instanceId).toBe('b');
});

whenRedis('whoever listens is nudged when leases are released', async () => {
  const store = await aStore('nudged');
  const other = await aStore('nudged');
  const taken = await store.beat(aBeat('a', { acquire: [2] }));
  let nudges = 0;
  other.onNudge(() => void (nudges += 1));

  const release = taken.acquired.map(({ slot, epoch }) => ({ slot, epoch }));
  const deadline = Date.now() + 20_000;
  for (let n = 0; nudges === 0 && Date.now() < deadline; n += 1) {
    const again = await store.beat(aBeat('a', { release, acquire: [n % 2] }));
    release.splice(0, release.length, ...again.acquired.map(({ slot, epoch }) => ({ slot, epoch })));
  }

  expect(nudges).toBeGreaterThan(0);
});

whenRedis('a store that does not answer in time fails the beat', async () => {
  const store = await aStore('away');
  await store.beat(aBeat('a'));
  redis?.pause();

  await expect(store.beat(aBeat('a'))).rejects.toThrow();

  redis?.resume();
  await expect(store.beat(aBeat('a'))).resolves.toBeDefined();
});

whenRedis('a trading state is told to whoever does not know it, and an older one never replaces a newer', async () => {
  const store = await aStore('halts');
  const halted = { state: 'HALTED', reason: 'look', subject: 'ops', at: 1_700_000_000_500 } as const;
  const before = { ...halted, state: 'ACTIVE', at: halted.at - 1 } as const;

  await store.beat(aBeat('a', { halts: [{ key: '*', state: halted }] }));
  await store.beat(aBeat('b', { halts: [{ key: '*', state: before }] }));
  const told = await store.beat(aBeat('c'));
  const known = await store.beat(aBeat('c', { haltsVersion: told.haltsVersion }));

  expect(told.halts).toEqual([{ key: '*', state: halted }]);
  expect(known.halts).toEqual([]);
});

whenRedis('a failover to a replica that missed the last leases gives none of their epochs again', async () => {
  const replica = await startRedis();
  const gate = await openGate(redis?.port ?? 0);
  try {
    const store = await aStore('failover', { url: `redis://127.0.0.1:${gate.port}` });
    const kept = await store.beat(aBeat('a', { acquire: [0] }));
    await replica.command('REPLICAOF', '127.0.0.1', String(redis?.port ?? 0));
    const deadline = Date.now() + 20_000;
    while (!(await hasKey(replica, '{failover}:slot:0')) && Date.now() < deadline)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await replica.command('REPLICAOF', 'NO', 'ONE');
    // Not replicated any more: the failover will lose it.
    const missed = await store.beat(aBeat('a', { acquire: [1] }));
    const held = [...kept.acquired, ...missed.acquired].map(({ slot, epoch }) => ({ slot, epoch }));
    gate.leadTo(replica.port);

    await store.beat(aBeat('a')).catch(() => undefined);
    const after = await store.beat(aBeat('a', { renew: held }));
    const other = await store.beat(aBeat('b', { acquire: [1], epochFloor: FLOOR + 2 ** 20 }));
    const [highest] = missed.acquired;

    expect(held.map(({ slot }) => slot)).toEqual([0, 1]);
    expect(after.owners[0]).toEqual({ instanceId: 'a', epoch: held[0]?.epoch });
    // Whoever has slot 1 now, its holder's own epoch is either still in force or left behind for good.
    const owner = other.owners[1];
    const isKept = owner?.instanceId === 'a' && owner.epoch === highest?.epoch;
    expect(isKept || (owner?.epoch ?? 0) > (highest?.epoch ?? Infinity)).toBe(true);
  } finally {
    await gate.close();
    await replica.stop();
  }
});

const hasKey = async (server: RedisProcess, key: string): Promise<boolean> =>
  (await server.command('EXISTS', key)) === 1;
