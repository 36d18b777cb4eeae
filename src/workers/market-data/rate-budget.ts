/**
 * What one key may ask of one host: a token bucket of a minute, corrected by what the broker's rate headers say.
 * Callers wait their turn in order; one whose wait would outlast its deadline is refused at once, with the time to try again.
 */
import type { Clock } from '../../kernel/runtime/clock.js';

export type BudgetTurn = { readonly kind: 'go' } | { readonly kind: 'refused'; readonly retryAfterS: number };

const MINUTE_MS = 60_000;
/** Callers that may wait at once; one more is refused like one whose wait is too long. */
const WAITERS_MAX = 2_000;

export class RateBudget {
  #tokens: number;
  #filledAt: number;
  #waiters = 0;
  #share = 1;
  /** No call before this moment: the broker said so. */
  #closedUntil = 0;

  constructor(
    private readonly perMinute: number,
    private readonly clock: Clock,
  ) {
    this.#tokens = perMinute;
    this.#filledAt = clock.monotonicMs();
  }

  /** Milliseconds until the next call would go out. */
  waitMs(): number {
    this.#fill();
    const closed = Math.max(0, this.#closedUntil - this.clock.monotonicMs());
    const short = Math.max(0, 1 - this.#tokens);
    return Math.max(closed, Math.ceil((short * MINUTE_MS) / this.#perMinute()));
  }

  async take(withinMs: number): Promise<BudgetTurn> {
    const wait = this.waitMs();
    if (wait > withinMs || (wait > 0 && this.#waiters >= WAITERS_MAX)) {
      return { kind: 'refused', retryAfterS: Math.max(1, Math.ceil(wait / 1_000)) };
    }
    // Taken now, even if in debt: who comes later waits longer, so turns stay in order.
    this.#tokens -= 1;
    if (wait > 0) {
      this.#waiters += 1;
      await this.clock.sleep(wait);
      this.#waiters -= 1;
    }
    return { kind: 'go' };
  }

  /** Calls that could go out now. */
  left(): number {
    this.#fill();
    return Math.max(0, Math.floor(this.#tokens));
  }

  /** What a predecessor had left so long ago: the broker counts the key's calls, whoever makes them. */
  inherit(left: number, agoMs: number): void {
    this.#tokens = Math.min(this.#tokens, left + (agoMs * this.perMinute) / MINUTE_MS);
  }

  /** While others may spend from the same key unseen: this part of it is ours. */
  useShare(share: number): void {
    this.#fill();
    this.#share = share;
    this.#tokens = Math.min(this.#tokens, this.#perMinute());
  }

  /** What an answer's headers say; a 429 closes the budget until the minute is over. */
  learn(status: number, headers: Readonly<Record<string, string>>): void {
    this.#fill();
    const remaining = Number(headers['x-ratelimit-remaining'] ?? Number.NaN);
    if (Number.isFinite(remaining)) this.#tokens = Math.min(this.#tokens, remaining);
    if (status !== 429) return;
    this.#tokens = Math.min(this.#tokens, 0);
    this.#closedUntil = this.clock.monotonicMs() + retryAfterMs(headers, this.clock.now());
  }

  #fill(): void {
    const now = this.clock.monotonicMs();
    const perMinute = this.#perMinute();
    this.#tokens = Math.min(perMinute, this.#tokens + ((now - this.#filledAt) * perMinute) / MINUTE_MS);
    this.#filledAt = now;
  }

  #perMinute(): number {
    return Math.max(1, this.perMinute * this.#share);
  }
}

/** Retry-After if present (RFC 9110 10.2.3, seconds), else the end of the minute the broker counts in. */
function retryAfterMs(headers: Readonly<Record<string, string>>, now: number): number {
  const seconds = Number(headers['retry-after'] ?? Number.NaN);
  if (Number.isFinite(seconds)) return Math.min(MINUTE_MS, Math.max(0, seconds * 1_000));
  const reset = Number(headers['x-ratelimit-reset'] ?? Number.NaN) * 1_000 + 1_000 - now;
  return Number.isFinite(reset) ? Math.min(MINUTE_MS, Math.max(1_000, reset)) : 5_000;
}
