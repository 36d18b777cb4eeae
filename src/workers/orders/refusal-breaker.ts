/**
 * Stops an account's orders while the broker refuses its keys: every 401 opens it, a storm of 403s too (one 403 is
 * everyday: buying power). Closes by itself after a while that doubles up to a limit; the next order is the probe.
 */
import type { BrokerReply } from '../accounts/account-session.js';
import type { Clock } from '../../kernel/runtime/clock.js';

const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;
const STORM_WINDOW_MS = 10_000;
const STORM_REFUSALS = 20;

export class RefusalBreaker {
  #openUntil = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #forbiddenAt: number[] = [];

  constructor(private readonly clock: Clock) {}

  hear(reply: BrokerReply): void {
    if (reply.kind !== 'answered') return;
    const now = this.clock.monotonicMs();
    if (reply.status === 401) this.#open(now);
    else if (reply.status === 403) this.#countForbidden(now);
    else if (reply.status < 300) {
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#forbiddenAt = [];
    }
  }

  /** Milliseconds until orders are taken again; 0 while they are. */
  pauseLeftMs(): number {
    return Math.max(0, this.#openUntil - this.clock.monotonicMs());
  }

  #countForbidden(now: number): void {
    this.#forbiddenAt = [...this.#forbiddenAt.filter((at) => now - at < STORM_WINDOW_MS), now];
    if (this.#forbiddenAt.length < STORM_REFUSALS) return;
    this.#forbiddenAt = [];
    this.#open(now);
  }

  #open(now: number): void {
    this.#openUntil = now + this.#pauseMs;
    this.#pauseMs = Math.min(this.#pauseMs * 2, LONGEST_PAUSE_MS);
  }
}
