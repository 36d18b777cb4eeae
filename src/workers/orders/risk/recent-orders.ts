/**
 * What an account sent lately, for the rules that count. Begins with what a former owner left in the journal; an order
 * that is proven not sent is taken off. Monotonic time; forgets what no rule can ask for any more.
 */
import type { Clock } from '../../../kernel/runtime/clock.js';

const MINUTE_MS = 60_000;
/** Also the longest duplicate window that can be honoured in full at this rate. */
const REMEMBERED_MAX = 10_000;

interface Sent {
  readonly at: number;
  readonly clientOrderId: string;
  readonly likeness: string;
}

export class RecentOrders {
  #sent: Sent[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly rememberMs: () => number,
  ) {}

  /** How far back a rule may ask. */
  get reachMs(): number {
    return Math.max(MINUTE_MS, this.rememberMs());
  }

  note(clientOrderId: string, likeness: string): void {
    this.#forget();
    this.#sent.push({ at: this.clock.monotonicMs(), clientOrderId, likeness });
  }

  /** Sent by a former owner so many milliseconds ago; oldest first, before anything is noted here. */
  inherit(
    earlier: readonly { readonly clientOrderId: string; readonly likeness: string; readonly ageMs: number }[],
  ): void {
    const now = this.clock.monotonicMs();
    this.#sent = earlier.map(({ ageMs, ...one }) => ({ ...one, at: now - Math.max(0, ageMs) }));
  }

  notSent(clientOrderId: string): void {
    const at = this.#sent.findLastIndex((order) => order.clientOrderId === clientOrderId);
    if (at >= 0) this.#sent.splice(at, 1);
  }

  inLastMinute(): number {
    const since = this.clock.monotonicMs() - MINUTE_MS;
    return this.#sent.reduce((count, { at }) => count + (at > since ? 1 : 0), 0);
  }

  /** Milliseconds since the last order alike, or undefined. */
  sinceAlike(likeness: string): number | undefined {
    const last = this.#sent.findLast((order) => order.likeness === likeness);
    return last === undefined ? undefined : this.clock.monotonicMs() - last.at;
  }

  #forget(): void {
    const oldest = this.clock.monotonicMs() - this.reachMs;
    const firstKept = this.#sent.findIndex(({ at }) => at >= oldest);
    if (firstKept !== 0) this.#sent.splice(0, firstKept === -1 ? this.#sent.length : firstKept);
    if (this.#sent.length >= REMEMBERED_MAX) this.#sent.shift();
  }
}
