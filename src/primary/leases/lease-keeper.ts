/**
 * Keeps this instance's leases. Each slot is in one of these states, and only `held` slots may send:
 *
 * - away: another instance holds it, or nobody does.
 * - held: ours until `validUntil` on the monotonic clock, which is when the renewal was *sent* plus the time to live
 *   less a margin. Entered by a beat that acquired it; left for `releasing`, or for `away` when it ran out.
 * - releasing: fair shares gave it to somebody else; its accounts are being drained, then it is released.
 *
 * The keeper never trusts silence: a beat that fails changes nothing here, and time alone ends the lease.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import { composeEpoch, nextHighPart } from './epoch.js';
import type { HeldSlot, LeaseBeat, LeaseStore, LeaseView, Member } from './lease-store.js';
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
  /** The highest epoch that this instance's disk knows of. */
  readonly highestEpoch: number;
}

export interface LeaseListener {
  /** A slot is ours. Calls without a client order id wait until `cleanAtMs` (monotonic): the last owner's may be on the wire. */
  onAcquired(slot: number, epoch: number, cleanAtMs: number): void;
  /** A slot ran out or was taken over: whatever it guards must stop at once. */
  onLost(slots: readonly number[]): void;
  /** Planned: resolves when the slot's accounts are drained and nothing of them is in flight. */
  onRelease(slots: readonly number[]): Promise<void>;
  /** After each good beat: held slots may send until this monotonic time. */
  onRenewed(validUntilMs: number, held: ReadonlyMap<number, number>): void;
  onView(members: readonly Member[], owners: LeaseView['owners']): void;
}

export class LeaseKeeper {
  private readonly clock: Clock;
  private readonly log: Log;
  readonly #held = new Map<number, number>();
  readonly #releasing = new Set<number>();
  readonly #drained = new Map<number, number>();
  #validUntilMs = 0;
  #highestEpoch: number;
  #members: readonly Member[] = [];
  #owners: LeaseView['owners'] = [];
  #leaving = false;

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

  /** Beats until the signal aborts. Never rejects: a failing store is a state of the world, not of the keeper. */
  async run(signal: AbortSignal): Promise<void> {
    // The first beat only joins; without a look at the members nobody knows a fair share.
    await this.beat();
    let lastTurn = this.clock.monotonicMs();
    while (!signal.aborted) {
      const turn = this.clock.monotonicMs();
      if (turn - lastTurn > this.options.renewIntervalMs + this.options.suspendGapMs)
        this.#loseAll('the machine slept');
      await this.beat();
      this.#expire();
      lastTurn = this.clock.monotonicMs();
      await this.clock.sleep(this.#nextWaitMs(turn), signal);
    }
  }

  /** Drains and releases everything, for a shutdown. Afterwards others may take the slots at once. */
  async leave(): Promise<void> {
    this.#leaving = true;
    await this.#drain([...this.#held.keys()]);
    await this.beat();
  }

  async beat(): Promise<void> {
    const sentAt = this.clock.monotonicMs();
    const beat = this.#compose();
    if (beat === undefined) return;
    let view: LeaseView;
    try {
      view = await this.store.beat(beat);
    } catch (cause) {
      this.log.warn(
        { cause: String(cause), validForMs: this.#validUntilMs - this.clock.monotonicMs() },
        'lease beat failed',
      );
      return;
    }
    this.#apply(view, sentAt, beat.release);
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
      member: !this.#leaving,
      release,
      renew: [...this.#held].map(([slot, epoch]) => ({ slot, epoch })),
      acquire: this.#leaving ? [] : this.#wanted(),
      epochFloor: composeEpoch(high, 0),
    };
  }

  /** Slots that the fair shares give us and that nobody held when we last looked. */
  #wanted(): readonly number[] {
    const wanted: number[] = [];
    for (const [slot, instance] of this.#shares()) {
      if (instance !== this.options.instanceId || this.#held.has(slot) || this.#drained.has(slot)) continue;
      if (this.#owners[slot] === undefined) wanted.push(slot);
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
    this.#members = view.members;
    this.#owners = view.owners;
    for (const { slot } of released) this.#drained.delete(slot);
    const lost = [...this.#held].filter(([slot, epoch]) => !this.#isOurs(slot, epoch)).map(([slot]) => slot);
    this.#forget(lost, 'taken over');
    for (const { slot, epoch, clean } of view.acquired) {
      this.#held.set(slot, epoch);
      this.#highestEpoch = Math.max(this.#highestEpoch, epoch);
      const lockDelayMs = clean ? 0 : this.options.ttlMs;
      this.listener.onAcquired(slot, epoch, sentAt + lockDelayMs);
    }
    this.#validUntilMs = sentAt + this.options.ttlMs - this.options.safetyMarginMs;
    this.listener.onView(view.members, view.owners);
    this.listener.onRenewed(this.#validUntilMs, this.#held);
    this.#rebalance();
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
    if (surplus.length > 0) void this.#drain(surplus);
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

  #expire(): void {
    if (this.#held.size > 0 && this.clock.monotonicMs() >= this.#validUntilMs) this.#loseAll('the lease ran out');
  }

  #loseAll(reason: string): void {
    this.#forget([...this.#held.keys()], reason);
  }

  #forget(slots: readonly number[], reason: string): void {
    if (slots.length === 0) return;
    for (const slot of slots) {
      this.#held.delete(slot);
      this.#releasing.delete(slot);
    }
    this.log.warn({ slots: slots.length, reason }, 'leases lost');
    this.listener.onLost(slots);
  }

  /** Never sleeps past the end of the lease: it must be seen to end on time. */
  #nextWaitMs(turnStartedMs: number): number {
    const now = this.clock.monotonicMs();
    const untilBeat = Math.max(0, turnStartedMs + this.options.renewIntervalMs - now);
    if (this.#held.size === 0) return untilBeat;
    return Math.max(1, Math.min(untilBeat, this.#validUntilMs - now));
  }
}
