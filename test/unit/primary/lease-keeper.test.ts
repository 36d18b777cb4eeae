import { expect, test } from '@jest/globals';
import type { SharedTradingState } from '../../../src/kernel/domain/account-request.js';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import { LeaseKeeper, type LeaseListener } from '../../../src/primary/leases/lease-keeper.js';
import type { LeaseBeat, LeaseStore, LeaseView, SlotOwner } from '../../../src/primary/leases/lease-store.js';
import { ManualClock } from '../../support/manual-clock.js';

/** A store in memory with the rules of the real one; `away` makes every call fail. */
class MemoryLeaseStore implements LeaseStore {
  readonly #leases = new Map<number, SlotOwner & { until: number }>();
  readonly #members = new Map<string, { url: string; until: number }>();
  readonly #clean = new Set<number>();
  readonly #last = new Map<number, number>();
  #epochs = 0;
  #halts = new Map<string, SharedTradingState>();
  #haltsVersion = 0;
  away = false;

  constructor(
    private readonly clock: ManualClock,
    private readonly slots: number,
  ) {}

  beat(beat: LeaseBeat): Promise<LeaseView> {
    if (this.away) return Promise.reject(new Error('away'));
    const now = this.clock.monotonicMs();
    for (const [slot, lease] of this.#leases) if (lease.until <= now) this.#leases.delete(slot);
    for (const [id, member] of this.#members) if (member.until <= now) this.#members.delete(id);
    if (beat.member) this.#members.set(beat.instanceId, { url: beat.advertiseUrl, until: now + beat.ttlMs });
    else this.#members.delete(beat.instanceId);
    for (const { slot, epoch } of beat.renew) {
      const isFree = !this.#leases.has(slot) && this.#last.get(slot) === epoch && !this.#clean.has(slot);
      if (isFree) this.#leases.set(slot, { instanceId: beat.instanceId, epoch, until: now + beat.ttlMs });
    }
    for (const { slot, epoch } of beat.release) {
      if (this.#leases.get(slot)?.epoch !== epoch) continue;
      this.#leases.delete(slot);
      this.#clean.add(slot);
    }
    for (const { slot, epoch } of beat.renew) {
      const lease = this.#leases.get(slot);
      if (lease?.instanceId === beat.instanceId && lease.epoch === epoch) lease.until = now + beat.ttlMs;
    }
    const acquired = [];
    for (const slot of beat.acquire) {
      if (this.#leases.has(slot)) continue;
      this.#epochs = Math.max(this.#epochs + 1, beat.epochFloor);
      this.#leases.set(slot, { instanceId: beat.instanceId, epoch: this.#epochs, until: now + beat.ttlMs });
      const isReleased = this.#clean.delete(slot);
      const before = isReleased ? 'released' : this.#last.has(slot) ? 'expired' : 'never-held';
      acquired.push({ slot, epoch: this.#epochs, before } as const);
      this.#last.set(slot, this.#epochs);
    }
    for (const { key, state } of beat.halts) {
      if ((this.#halts.get(key)?.at ?? 0) > state.at) continue;
      this.#halts.set(key, state);
      this.#haltsVersion = Math.max(now, this.#haltsVersion + 1);
    }
    const isNews = beat.haltsVersion !== this.#haltsVersion;
    return Promise.resolve({
      haltsVersion: this.#haltsVersion,
      halts: isNews ? [...this.#halts].map(([key, state]) => ({ key, state })) : [],
      members: [...this.#members].map(([instanceId, { url }]) => ({ instanceId, advertiseUrl: url })),
      owners: Array.from({ length: this.slots }, (_, slot) => this.#leases.get(slot)),
      acquired,
    });
  }

  loseHalts(): void {
    this.#halts = new Map();
    this.#haltsVersion = 0;
  }

  onNudge(): void {
    // The beat interval is short enough here.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const SLOTS = 8;

function aKeeper(name: string, store: LeaseStore, clock: ManualClock, hooks: Partial<LeaseListener> = {}) {
  const lost: number[] = [];
  const listener: LeaseListener = {
    onAcquired: () => undefined,
    onLost: (slots) => void lost.push(...slots),
    onRelease: () => Promise.resolve(),
    onRenewed: () => undefined,
    onView: () => undefined,
    onHalts: () => undefined,
    ...hooks,
  };
  const options = {
    instanceId: name,
    advertiseUrl: `http://${name}`,
    slots: SLOTS,
    ttlMs: 3_000,
    renewIntervalMs: 1_000,
    safetyMarginMs: 500,
    suspendGapMs: 500,
    writeDeadlineMs: 10_000,
    highestEpoch: 0,
  };
  const stop = new AbortController();
  const keeper = new LeaseKeeper(store, options, listener, { clock, log: silentLog });
  return { keeper, lost, stop, running: keeper.run(stop.signal) };
}

test('a lone instance takes every slot and keeps them', async () => {
  const clock = new ManualClock();
  const a = aKeeper('a', new MemoryLeaseStore(clock, SLOTS), clock);

  await clock.advance(20_000);

  expect(a.keeper.held.size).toBe(SLOTS);
  expect(a.lost).toEqual([]);
  a.stop.abort();
  await a.running;
});

test('a second instance is given its fair share only after the first has drained it', async () => {
  const clock = new ManualClock();
  const store = new MemoryLeaseStore(clock, SLOTS);
  let drained: (() => void) | undefined;
  const a = aKeeper('a', store, clock, { onRelease: () => new Promise((resolve) => (drained = resolve)) });
  await clock.advance(2_000);
  const b = aKeeper('b', store, clock);

  await clock.advance(10_000);
  expect(b.keeper.held.size).toBe(0);

  drained?.();
  await clock.advance(3_000);
  expect(a.keeper.held.size).toBe(4);
  expect(b.keeper.held.size).toBe(4);
  expect([...a.keeper.held.keys()].some((slot) => b.keeper.held.has(slot))).toBe(false);
  a.stop.abort();
  b.stop.abort();
});

test('a holder that cannot reach the store stops before the store lets anybody else in', async () => {
  const clock = new ManualClock();
  const store = new MemoryLeaseStore(clock, SLOTS);
  const a = aKeeper('a', store, clock);
  await clock.advance(2_000);

  store.away = true;
  await clock.advance(1_400);
  expect(a.keeper.held.size).toBe(SLOTS);
  expect(a.keeper.isValid()).toBe(true);
  await clock.advance(1_101);

  expect(a.keeper.isValid()).toBe(false);
  a.stop.abort();
});

test('a lease that lapsed while nobody wanted it goes on under its epoch, and no slot is lost', async () => {
  const clock = new ManualClock();
  const store = new MemoryLeaseStore(clock, SLOTS);
  const told: number[] = [];
  const a = aKeeper('a', store, clock, { onRenewed: (validUntilMs) => void told.push(validUntilMs) });
  await clock.advance(2_000);
  const before = new Map(a.keeper.held);

  store.away = true;
  await clock.advance(20_000);
  expect(told.at(-1)).toBe(0);
  store.away = false;
  await clock.advance(1_000);

  expect(a.keeper.isValid()).toBe(true);
  expect(new Map(a.keeper.held)).toEqual(before);
  expect(a.lost).toEqual([]);
  a.stop.abort();
});

test('a lease that another took while it was lapsed is lost', async () => {
  const clock = new ManualClock();
  const store = new MemoryLeaseStore(clock, SLOTS);
  const a = aKeeper('a', store, clock);
  await clock.advance(2_000);
  a.stop.abort();
  await a.running;
  const b = aKeeper('b', store, clock);
  await clock.advance(8_000);

  await a.keeper.beat();

  expect(b.keeper.held.size).toBe(SLOTS);
  expect(a.keeper.held.size).toBe(0);
  expect(a.lost.length).toBe(SLOTS);
  b.stop.abort();
});

test('the beat that sees a member gone is followed at once by the one that takes its slots', async () => {
  const clock = new ManualClock();
  const store = new MemoryLeaseStore(clock, SLOTS);
  const a = aKeeper('a', store, clock);
  await clock.advance(1_500);
  const at = { gone: 0, taken: 0 };
  const b = aKeeper('b', store, clock, {
    onView: (members) => (at.gone = members.length === 1 && at.gone === 0 ? clock.monotonicMs() : at.gone),
    onAcquired: () => (at.taken = clock.monotonicMs()),
  });
  await clock.advance(3_000);
  expect([a.keeper.held.size, b.keeper.held.size]).toEqual([4, 4]);

  a.stop.abort();
  await clock.advance(6_000);

  expect(b.keeper.held.size).toBe(8);
  expect(at.gone).toBeGreaterThan(0);
  expect(at.taken - at.gone).toBeLessThan(10);
  b.stop.abort();
});

test('epochs rise when a slot changes hands', async () => {
  const clock = new ManualClock();
  const store = new MemoryLeaseStore(clock, SLOTS);
  const a = aKeeper('a', store, clock);
  await clock.advance(2_000);
  const before = new Map(a.keeper.held);
  a.stop.abort();
  const b = aKeeper('b', store, clock);

  await clock.advance(5_000);

  expect(b.keeper.held.size).toBe(SLOTS);
  for (const [slot, epoch] of b.keeper.held) expect(epoch).toBeGreaterThan(before.get(slot) ?? Infinity);
  b.stop.abort();
});

test('after an expiry calls without an id wait out the old lease; after a clean release they do not', async () => {
  const clock = new ManualClock();
  const store = new MemoryLeaseStore(clock, SLOTS);
  const waits: number[] = [];
  const a = aKeeper('a', store, clock);
  await clock.advance(2_000);
  a.stop.abort();
  await a.running;
  const note: Partial<LeaseListener> = {
    onAcquired: (slots) => void waits.push(...slots.map(({ cleanAtMs }) => cleanAtMs - clock.monotonicMs())),
  };
  const b = aKeeper('b', store, clock, note);
  await clock.advance(5_000);
  expect(Math.max(...waits)).toBe(13_000);

  waits.length = 0;
  await b.keeper.leave();
  b.stop.abort();
  const c = aKeeper('c', store, clock, note);
  await clock.advance(1_000);

  expect(c.keeper.held.size).toBe(SLOTS);
  expect(Math.max(...waits)).toBe(0);
  c.stop.abort();
});

test('a process that was stopped past its lease loses it before it does anything else', async () => {
  const clock = new ManualClock();
  const store = new MemoryLeaseStore(clock, SLOTS);
  const a = aKeeper('a', store, clock);
  await clock.advance(2_000);
  const renewed = a.keeper.validUntilMs;
  a.stop.abort();
  await a.running;

  // While stopped, no timer runs: the check right before a send compares with this figure alone.
  await clock.advance(10_000);

  expect(renewed).toBeLessThan(clock.monotonicMs());
});

const aState = (state: SharedTradingState['state'], at: number): SharedTradingState => ({
  ...{ state, reason: 'look', subject: 'ops', at },
});

/** Two keepers of one store, and the trading states that the second one has heard of. */
async function told() {
  const clock = new ManualClock();
  const store = new MemoryLeaseStore(clock, SLOTS);
  let heard: ReadonlyMap<string, SharedTradingState> = new Map();
  const a = aKeeper('a', store, clock);
  const b = aKeeper('b', store, clock, { onHalts: (halts) => (heard = halts) });
  await clock.advance(2_000);
  const end = (): void => [a, b].forEach(({ stop }) => stop.abort());
  return { clock, store, a, b, end, stateOf: (key: string) => heard.get(key)?.state };
}

test('a trading state is shared when the store has it, and not before', async () => {
  const { clock, store, a, end, stateOf } = await told();
  let isShared = false;
  store.away = true;
  void a.keeper.share('account_001', aState('HALTED', 5)).then(() => (isShared = true));
  await clock.advance(2_000);
  expect(isShared).toBe(false);

  store.away = false;
  await clock.advance(3_000);

  expect(isShared).toBe(true);
  expect(stateOf('account_001')).toBe('HALTED');
  end();
});

test('what is set later counts, also at an instance whose clock is behind', async () => {
  const { clock, a, b, end, stateOf } = await told();
  void a.keeper.share('*', aState('ACTIVE', 9_000_000));
  await clock.advance(2_000);

  void b.keeper.share('account_001', aState('HALTED', 1_000));
  await clock.advance(2_000);
  void b.keeper.share('*', aState('HALTED', 2_000));
  await clock.advance(2_000);

  expect(stateOf('account_001')).toBe('HALTED');
  expect(stateOf('*')).toBe('HALTED');
  end();
});

test('a store that has lost its memory is told the trading states again', async () => {
  const { clock, store, a, b, end } = await told();
  void a.keeper.share('*', aState('HALTED', 5));
  await clock.advance(2_000);
  store.loseHalts();
  await clock.advance(2_000);
  let heard: ReadonlyMap<string, SharedTradingState> = new Map();
  const c = aKeeper('c', store, clock, { onHalts: (halts) => (heard = halts) });
  a.stop.abort();
  await clock.advance(2_000);

  expect(heard.get('*')).toMatchObject({ state: 'HALTED', reason: 'look' });
  b.stop.abort();
  c.stop.abort();
  end();
});
