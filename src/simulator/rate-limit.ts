/**
 * The broker's budget: so many requests a minute and key, in fixed windows, told on every answer
 * (docs/broker-wire.md#rate-limits).
 */
import type { SimClock } from './clock.js';

interface Window {
  minute: number;
  used: number;
}

export interface Budget {
  readonly isExceeded: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** Epoch seconds at which the window ends. */
  readonly reset: number;
}

const WINDOW_MS = 60_000;

export class RateLimit {
  readonly #windows = new Map<string, Window>();
  readonly #limits = new Map<string, number>();
  readonly #clock: SimClock;
  #perMinute: number;

  constructor(clock: SimClock, perMinute: number) {
    this.#clock = clock;
    this.#perMinute = perMinute;
  }

  /** For one key owner, or for all who have no limit of their own. */
  set(perMinute: number, owner?: string): void {
    if (owner === undefined) this.#perMinute = perMinute;
    else this.#limits.set(owner, perMinute);
  }

  /** Counts one request. A refused one counts nothing. */
  take(owner: string): Budget {
    const minute = Math.floor(this.#clock.now() / WINDOW_MS);
    const window = this.#windows.get(owner) ?? { minute, used: 0 };
    if (window.minute !== minute) {
      window.minute = minute;
      window.used = 0;
    }
    this.#windows.set(owner, window);
    const limit = this.#limits.get(owner) ?? this.#perMinute;
    const isExceeded = window.used >= limit;
    if (!isExceeded) window.used += 1;
    return { isExceeded, limit, remaining: Math.max(0, limit - window.used), reset: ((minute + 1) * WINDOW_MS) / 1000 };
  }

  /** Starts every window anew. */
  clear(): void {
    this.#windows.clear();
  }
}
