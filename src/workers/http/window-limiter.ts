/**
 * Requests a minute per key, in this worker's memory and without a promise on the hot path. The configured limit is
 * divided by the number of workers, because connections are spread over them: the sum never exceeds the limit, and one
 * connection alone gets its worker's share.
 */
import type { Clock } from '../../kernel/runtime/clock.js';

export interface Allowance {
  readonly allowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  readonly resetsInS: number;
}

export interface Limiter {
  /** Undefined when only `acquire` can tell. */
  take(key: string): Allowance | undefined;
  acquire(key: string): Promise<Allowance>;
}

const WINDOW_MS = 60_000;
/** Full: the key that began its window first is forgotten. Keys are verified subjects and accounts, not free text. */
const KEYS_MAX = 10_000;

export class WindowLimiter implements Limiter {
  readonly #windows = new Map<string, { startedMs: number; used: number }>();

  constructor(
    private readonly perMinute: number,
    /** That the limit is divided by. */
    private readonly workers: () => number,
    private readonly clock: Clock,
  ) {}

  acquire(key: string): Promise<Allowance> {
    return Promise.resolve(this.take(key));
  }

  take(key: string): Allowance {
    const nowMs = this.clock.monotonicMs();
    let window = this.#windows.get(key);
    if (window === undefined || nowMs - window.startedMs >= WINDOW_MS) {
      this.#windows.delete(key);
      window = { startedMs: nowMs, used: 0 };
      this.#windows.set(key, window);
      if (this.#windows.size > KEYS_MAX) this.#forgetOldest();
    }
    const limit = Math.max(1, Math.floor(this.perMinute / Math.max(1, this.workers())));
    const allowed = window.used < limit;
    if (allowed) window.used += 1;
    return {
      allowed,
      limit,
      remaining: Math.max(0, limit - window.used),
      resetsInS: Math.max(1, Math.ceil((window.startedMs + WINDOW_MS - nowMs) / 1_000)),
    };
  }

  #forgetOldest(): void {
    for (const key of this.#windows.keys()) {
      this.#windows.delete(key);
      return;
    }
  }
}
