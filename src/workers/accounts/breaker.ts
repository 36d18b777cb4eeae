/**
 * Stops asking the broker for an account whose key it refuses, or that cannot be reached, so that one bad account costs
 * nothing. Closed: all pass. Open: none passes until a pause is over. Then one trial passes; what it meets decides.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { ExchangeResult } from '../alpaca/broker-pool.js';

const FAILURES_MAX = 5;
const PAUSE_MIN_MS = 1_000;
const PAUSE_MAX_MS = 30_000;

export class Breaker {
  #failures = 0;
  #pauseMs = PAUSE_MIN_MS;
  #openUntilMs = 0;
  #isTrying = false;

  constructor(private readonly clock: Clock) {}

  /** Milliseconds until a trial may pass; 0 when the call may go. */
  waitMs(): number {
    if (this.#failures < FAILURES_MAX) return 0;
    const left = this.#openUntilMs - this.clock.monotonicMs();
    if (left > 0) return left;
    if (this.#isTrying) return PAUSE_MIN_MS;
    this.#isTrying = true;
    return 0;
  }

  /** The call that `waitMs` let pass was never made: the next one may be the trial. */
  giveBack(): void {
    this.#isTrying = false;
  }

  note(result: ExchangeResult): void {
    this.#isTrying = false;
    if (!isFailure(result)) {
      if (result.kind !== 'answered') return;
      this.#failures = 0;
      this.#pauseMs = PAUSE_MIN_MS;
      return;
    }
    this.#failures += 1;
    if (this.#failures < FAILURES_MAX) return;
    this.#openUntilMs = this.clock.monotonicMs() + this.#pauseMs;
    this.#pauseMs = Math.min(PAUSE_MAX_MS, this.#pauseMs * 2);
  }
}

/** A refused key or no connection. A 403 with words about an order is the broker doing business. */
function isFailure(result: ExchangeResult): boolean {
  if (result.kind === 'not-sent') return result.reason === 'connect';
  if (result.kind === 'ambiguous') return false;
  if (result.status === 401) return true;
  return result.status === 403 && !Buffer.from(result.body).includes('"code"');
}
