/**
 * Keeps this instance's leases. Each slot is in one of these states, and only `held` slots may send:
 *
 * - away: another instance holds it, or nobody does.
 * - held: ours until `validUntil` on the monotonic clock, which is when the renewal was *sent* plus the time to live
 *   less a margin. Entered by a beat that acquired it.
 * - lapsed: held, and past `validUntil`: nothing may be sent. The store may still give it back under the same epoch, as
 *   long as nobody took it since; otherwise it is lost.
 * - releasing: fair shares gave it to somebody else; its accounts are being drained, then it is released.
 *
 * The keeper never trusts silence: a beat that fails changes nothing here, and time alone ends the right to send.
 */
import type { SharedTradingState } from '../../kernel/domain/account-request.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import { composeEpoch, EPOCHS_A_LEASE, nextHighPart } from './epoch.js';
import type { HeldSlot, LeaseBeat, LeaseStore, LeaseView, Member } from './lease-store.js';
import { SharedHalts } from './shared-halts.js';
import { fairShares } from './slots.js';

export interface LeaseKeeperOptions {
  readonly instanceId: string;
  readonly advertiseUrl: string;
  readonly slots: number;
  readonly ttlMs: number;
  readonly renewIntervalMs: number;
  /** Taken off the time to live: a lease ends here before it ends in the store. */
  readonly safetyMarginMs: number;
  /** A longer gap between two turns of the loop means the machine slept, where the monotonic clock may have stood still. */
  readonly suspendGapMs: number;
  /** How long bytes that the last owner wrote may be on their way, beyond its lease. */
  readonly writeDeadlineMs: number;
  /** The highest epoch that this instance's disk knows of. */
  readonly highestEpoch: number;
}

/** `cleanAtMs`, monotonic: until then calls without a client order id wait, for the last owner's may be on the wire. */
export interface AcquiredSlot extends HeldSlot {
  readonly cleanAtMs: number;
}

export interface LeaseListener {
  onAcquired(slots: readonly AcquiredSlot[]): void;
  /** Slots were taken by others, or given back to nobody: whatever they guard must be let go. */
  onLost(slots: readonly number[]): void;
  /** Planned: resolves when the slots' accounts are drained and nothing of them is in flight. */
  onRelease(slots: readonly number[]): Promise<void>;
  /** After each good beat: held slots may send until this monotonic time. `wallLeadMs` as LeaseWord says it. */
  onRenewed(validUntilMs: number, wallLeadMs: number, held: ReadonlyMap<number, number>): void;
  /** Trading states that this or another instance set, the newest of each key; `*` is every account. */
  onHalts(halts: ReadonlyMap<string, SharedTradingState>): void;
  onView(members: readonly Member[], owners: LeaseView['owners']): void;
}

export class LeaseKeeper {
  private readonly clock: Clock;
  private readonly log: Log;
  readonly #held = new Map<number, number>();
  readonly #releasing = new Set<number>();
  readonly #drained = new Map<number, number>();
  /** Slots that another instance was seen to hold: a store that has forgotten it changes nothing about that. */
  readonly #seenElsewhere = new Set<number>();
  #validUntilMs = 0;
  #hasLapsed = false;
  #highestEpoch: number;
  #members: readonly Member[] = [];
  #owners: LeaseView['owners'] = [];
  #leaving = false;
  #beating: Promise<void> = Promise.resolve();
  #nap = new AbortController();
  #lastGoodBeatMs = 0;
  #wallLeadMs = 0;
  readonly #halts = new SharedHalts();

  constructor(
    private readonly store: LeaseStore,
    private readonly options: LeaseKeeperOptions,
    private readonly listener: LeaseListener,
    { clock, log }: { readonly clock: Clock; readonly log: Log },
  ) {
    this.clock = clock;
    this.log = log;
    this.#highestEpoch = options.highestEpoch;
  }

  get held(): ReadonlyMap<number, number> {
    return this.#held;
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  /** Monotonic milliseconds until which the held slots are ours. */
  get validUntilMs(): number {
    return this.#validUntilMs;
  }

  /** Monotonic milliseconds when the store last answered well; 0 before the first time. */
  get lastGoodBeatMs(): number {
    return this.#lastGoodBeatMs;
  }

  /** Whether what is held may be sent for now. */
  isValid(): boolean {
    return this.clock.monotonicMs() < this.#validUntilMs;
  }

  /** Beats until the signal aborts. Never rejects: a failing store is a state of the world, not of the keeper. */
  async run(signal: AbortSignal): Promise<void> {
    this.store.onNudge(() => this.wake());
    // The first beat only joins; without a look at the members nobody knows a fair share.
    await this.beat();
    let lastTurn = this.clock.monotonicMs();
    let lastWall = this.clock.now();
    while (!signal.aborted) {
      // Whoever wakes it during the beat means the next one.
      this.#nap = new AbortController();
      const turn = this.clock.monotonicMs();
      const wall = this.clock.now();
      if (this.#hasSlept(turn - lastTurn, wall - lastWall)) this.#lapse('the machine slept');
      await this.beat();
      this.#noteLapse();
      lastTurn = this.clock.monotonicMs();
      lastWall = this.clock.now();
      await this.clock.sleep(this.#nextWaitMs(turn), AbortSignal.any([signal, this.#nap.signal]));
    }
  }

  /** Told to the others with the next good beat, which is due now. Resolves when the store has it. */
  share(key: string, state: SharedTradingState): Promise<void> {
    const isTold = this.#halts.set(key, state);
    this.wake();
    return isTold;
  }

  /** The next beat is due now. */
  wake(): void {
    this.#nap.abort();
  }

  /** Drains and releases everything, for a shutdown. Afterwards others may take the slots at once. */
  async leave(): Promise<void> {
    this.#leaving = true;
    // One that was being acquired meanwhile is drained too.
    await this.#beating;
    await this.#drain([...this.#held.keys()]);
    await this.beat();
  }

  /** One at a time: what a beat tells must be judged before the next one is put together. */
  beat(): Promise<void> {
    this.#beating = this.#beating.then(() => this.#beat());
    return this.#beating;
  }

  async #beat(): Promise<void> {
    const sentAt = this.clock.monotonicMs();
    const wallLeadMs = this.clock.now() - sentAt;
    const beat = this.#compose();
    if (beat === undefined) return;
    let view: LeaseView;
    try {
      view = await this.store.beat(beat);
    } catch (cause) {
      this.log.warn(
        { cause: String(cause), validForMs: Math.round(this.#validUntilMs - this.clock.monotonicMs()) },
        'lease beat failed',
      );
      return;
    }
    this.#wallLeadMs = wallLeadMs;
    this.#apply(view, sentAt, beat.release);
    this.#halts.confirm(beat.halts);
  }

  #compose(): LeaseBeat | undefined {
    let high: number;
    try {
      high = nextHighPart(this.clock.now(), this.#highestEpoch);
    } catch (cause) {
      this.log.error({ cause: String(cause) }, 'no lease is taken');
      return undefined;
    }
    const release = [...this.#drained].map(([slot, epoch]) => ({ slot, epoch }));
    return {
      instanceId: this.options.instanceId,
      advertiseUrl: this.options.advertiseUrl,
      ttlMs: this.options.ttlMs,
      ...this.#halts.forBeat(),
      member: !this.#leaving,
      release,
      renew: [...this.#held].map(([slot, epoch]) => ({ slot, epoch })),
      acquire: this.#leaving ? [] : this.#wanted(),
      epochFloor: composeEpoch(high, 0),
      epochStep: EPOCHS_A_LEASE,
    };
  }

  /** Slots that the fair shares give us. The store knows which of them are free. */
  #wanted(): readonly number[] {
    const wanted: number[] = [];
    for (const [slot, instance] of this.#shares()) {
      const isMine = instance === this.options.instanceId;
      if (isMine && !this.#held.has(slot) && !this.#drained.has(slot)) wanted.push(slot);
    }
    return wanted;
  }

  #shares(): ReadonlyMap<number, string> {
    return fairShares(
      this.options.slots,
      this.#members.map((member) => member.instanceId),
    );
  }

  #apply(view: LeaseView, sentAt: number, released: readonly HeldSlot[]): void {
    this.#lastGoodBeatMs = this.clock.monotonicMs();
    // Whoever left has left slots to somebody: shares are as of the members, and a beat asks by those it knew before.
    if (isOther(this.#members, view.members)) this.wake();
    this.#members = view.members;
    this.#owners = view.owners;
    this.#noteOwners();
    const halts = this.#halts.learn(view);
    if (halts !== undefined) this.listener.onHalts(halts);
    for (const { slot } of released) this.#drained.delete(slot);
    const lost = [...this.#held].filter(([slot, epoch]) => !this.#isOurs(slot, epoch)).map(([slot]) => slot);
    this.#forget(lost);
    const acquired = view.acquired.map(({ slot, epoch, before }) => {
      this.#held.set(slot, epoch);
      const isClean = before === 'released' || (before === 'never-held' && !this.#seenElsewhere.has(slot));
      const lockDelayMs = isClean ? 0 : this.options.ttlMs + this.options.writeDeadlineMs;
      return { slot, epoch, cleanAtMs: sentAt + lockDelayMs };
    });
    this.#validUntilMs = sentAt + this.options.ttlMs - this.options.safetyMarginMs;
    if (this.#hasLapsed && this.isValid()) {
      this.#hasLapsed = false;
      this.log.info({ slots: this.#held.size }, 'leases are valid again');
    }
    this.listener.onView(view.members, view.owners);
    if (acquired.length > 0) this.listener.onAcquired(acquired);
    this.listener.onRenewed(this.#validUntilMs, this.#wallLeadMs, this.#held);
    this.#rebalance();
  }

  #noteOwners(): void {
    for (const [slot, owner] of this.#owners.entries()) {
      if (owner === undefined) continue;
      this.#highestEpoch = Math.max(this.#highestEpoch, owner.epoch);
      if (owner.instanceId !== this.options.instanceId) this.#seenElsewhere.add(slot);
    }
  }

  #isOurs(slot: number, epoch: number): boolean {
    const owner = this.#owners[slot];
    return owner?.instanceId === this.options.instanceId && owner.epoch === epoch;
  }

  /** Gives up, in an orderly way, what the fair shares say belongs to another living member. */
  #rebalance(): void {
    const shares = this.#shares();
    const surplus = [...this.#held.keys()].filter((slot) => {
      const owner = shares.get(slot);
      return owner !== undefined && owner !== this.options.instanceId && !this.#releasing.has(slot);
    });
    if (surplus.length > 0) void this.#drain(surplus).then(() => this.wake());
  }

  async #drain(slots: readonly number[]): Promise<void> {
    const draining = slots.filter((slot) => this.#held.has(slot) && !this.#releasing.has(slot));
    if (draining.length === 0) return;
    for (const slot of draining) this.#releasing.add(slot);
    await this.listener.onRelease(draining);
    for (const slot of draining) {
      this.#releasing.delete(slot);
      const epoch = this.#held.get(slot);
      if (epoch === undefined) continue;
      this.#held.delete(slot);
      this.#drained.set(slot, epoch);
    }
  }

  /** Wall time that passed without the monotonic clock, or a loop that stood still. */
  #hasSlept(monotonicMs: number, wallMs: number): boolean {
    const { renewIntervalMs, suspendGapMs } = this.options;
    return wallMs - monotonicMs > suspendGapMs || monotonicMs > renewIntervalMs + suspendGapMs;
  }

  #noteLapse(): void {
    if (this.#held.size > 0 && !this.isValid()) this.#lapse('the lease ran out');
  }

  #lapse(reason: string): void {
    this.#validUntilMs = 0;
    if (this.#hasLapsed || this.#held.size === 0) return;
    this.#hasLapsed = true;
    this.log.warn({ slots: this.#held.size, reason }, 'leases lapsed: orders are refused');
    this.listener.onRenewed(0, this.#wallLeadMs, this.#held);
  }

  #forget(slots: readonly number[]): void {
    if (slots.length === 0) return;
    for (const slot of slots) {
      this.#held.delete(slot);
      this.#releasing.delete(slot);
    }
    this.log.warn({ slots: slots.length }, 'leases lost');
    this.listener.onLost(slots);
  }

  /** Never sleeps past the end of the lease: it must be seen to end on time. */
  #nextWaitMs(turnStartedMs: number): number {
    const now = this.clock.monotonicMs();
    const untilBeat = Math.max(0, turnStartedMs + this.options.renewIntervalMs - now);
    if (this.#held.size === 0 || now >= this.#validUntilMs) return untilBeat;
    return Math.max(1, Math.min(untilBeat, this.#validUntilMs - now));
  }
}

function isOther(former: readonly Member[], now: readonly Member[]): boolean {
  const ids = (members: readonly Member[]): string =>
    JSON.stringify(members.map(({ instanceId }) => instanceId).sort());
  return ids(former) !== ids(now);
}
