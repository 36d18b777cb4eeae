/**
 * Requests a minute per key over all workers of all instances. What a worker may use is granted to it in Redis before
 * it is used, a few at a time, so that the sum never exceeds the limit and most requests wait for nothing. What is not
 * used goes back. While Redis does not answer each worker has its part of the limit (docs/order-protocol.md L9). Loaded
 * only where instances share accounts.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import { WindowLimiter, type Allowance, type Limiter } from './window-limiter.js';

export interface Grant {
  readonly granted: number;
  /** Granted to nobody yet. */
  readonly free: number;
  readonly resetsInMs: number;
}

export interface AllowanceStore {
  /** A part of what is free in this minute, at least one of it. Rejects when it cannot be known soon. */
  grant(key: string, limit: number, parts: number): Promise<Grant>;
  /** Best effort. Nothing happens when the minute of the grant is over. */
  giveBack(key: string, count: number): void;
}

export interface SharedLimiterParts {
  readonly store: AllowanceStore;
  /** Kept apart from the limits of other kinds of keys. */
  readonly what: string;
  readonly perMinute: number;
  /** Workers of all instances together. */
  readonly workers: () => number;
  readonly clock: Clock;
}

interface Share {
  left: number;
  free: number;
  endsAtMs: number;
  usedAtMs: number;
  asking?: Promise<void>;
}

/** A worker that took one part of the half that is free leaves enough for the others' first requests. */
const PARTS_PER_WORKER = 2;
/** After Redis did not answer. */
const AWAY_MS = 1_000;
const SWEEP_MS = 1_000;
/** Full: the key that was met first is forgotten; what it was granted is lost for this minute. */
const KEYS_MAX = 10_000;

export class SharedLimiter implements Limiter {
  readonly #shares = new Map<string, Share>();
  readonly #alone: WindowLimiter;
  #awayUntilMs = 0;
  #cancelSweep: (() => void) | undefined;

  constructor(private readonly parts: SharedLimiterParts) {
    this.#alone = new WindowLimiter(parts.perMinute, parts.workers, parts.clock);
  }

  take(key: string): Allowance | undefined {
    const now = this.parts.clock.monotonicMs();
    if (now < this.#awayUntilMs) return this.#alone.take(key);
    const share = this.#shares.get(key);
    if (share === undefined || now >= share.endsAtMs) return undefined;
    if (share.left > 0) {
      share.left -= 1;
      share.usedAtMs = now;
      if (share.left < share.free / (2 * this.#parts())) void this.#ask(key);
      return this.#allowance(true, share, now);
    }
    // Nothing left here, and nothing anywhere when it was last asked for.
    return share.free <= 0 ? this.#allowance(false, share, now) : undefined;
  }

  async acquire(key: string): Promise<Allowance> {
    for (;;) {
      const allowance = this.take(key);
      if (allowance !== undefined) return allowance;
      await this.#ask(key);
    }
  }

  close(): void {
    this.#cancelSweep?.();
  }

  #parts(): number {
    return Math.max(1, PARTS_PER_WORKER * this.parts.workers());
  }

  /** One question a key at a time. Never rejects: silence leads to the worker's own part. */
  #ask(key: string): Promise<void> {
    const known = this.#shares.get(key);
    const share = known ?? { left: 0, free: 0, endsAtMs: 0, usedAtMs: 0 };
    if (known === undefined) this.#add(key, share);
    share.asking ??= this.#askStore(key, share).finally(() => {
      delete share.asking;
    });
    return share.asking;
  }

  async #askStore(key: string, share: Share): Promise<void> {
    const { store, clock, what, perMinute } = this.parts;
    try {
      const { granted, free, resetsInMs } = await store.grant(`${what}:${key}`, perMinute, this.#parts());
      const now = clock.monotonicMs();
      // Of a minute that is over nothing is left.
      share.left = granted + (now < share.endsAtMs ? share.left : 0);
      share.free = free;
      share.endsAtMs = now + resetsInMs;
      share.usedAtMs = now;
      this.#cancelSweep ??= clock.after(SWEEP_MS, () => {
        this.#sweep();
      });
    } catch {
      this.#awayUntilMs = clock.monotonicMs() + AWAY_MS;
    }
  }

  /** What was granted here and is not being used may be wanted elsewhere. */
  #sweep(): void {
    const { clock, store, what } = this.parts;
    this.#cancelSweep = undefined;
    const now = clock.monotonicMs();
    for (const [key, share] of this.#shares) {
      if (share.asking !== undefined || now - share.usedAtMs < SWEEP_MS) continue;
      if (share.left > 0 && now < share.endsAtMs) store.giveBack(`${what}:${key}`, share.left);
      this.#shares.delete(key);
    }
    if (this.#shares.size === 0) return;
    this.#cancelSweep = clock.after(SWEEP_MS, () => {
      this.#sweep();
    });
  }

  #add(key: string, share: Share): void {
    this.#shares.set(key, share);
    if (this.#shares.size <= KEYS_MAX) return;
    const [oldest] = this.#shares.keys();
    if (oldest !== undefined) this.#shares.delete(oldest);
  }

  #allowance(allowed: boolean, share: Share, now: number): Allowance {
    return {
      allowed,
      limit: this.parts.perMinute,
      remaining: share.left + share.free,
      resetsInS: Math.max(1, Math.ceil((share.endsAtMs - now) / 1_000)),
    };
  }
}
