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

const WINDOW_MS = 60_000;
/** Full: the key that began its window first is forgotten. Keys are verified subjects and accounts, not free text. */
const KEYS_MAX = 10_000;

export class WindowLimiter {
  readonly #windows = new Map<string, { startedMs: number; used: number }>();
  readonly #limit: number;

  constructor(
    perMinute: number,
    workers: number,
    private readonly clock: Clock,
  ) {
    this.#limit = Math.max(1, Math.floor(perMinute / Math.max(1, workers)));
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
    const allowed = window.used < this.#limit;
    if (allowed) window.used += 1;
    return {
      allowed,
      limit: this.#limit,
      remaining: this.#limit - window.used,
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
