/** What an account sent lately, for the rules that count. Monotonic time; forgets what no rule can ask for any more. */
import type { Clock } from '../../../kernel/runtime/clock.js';

const MINUTE_MS = 60_000;
/** Also the longest duplicate window that can be honoured in full at this rate. */
const REMEMBERED_MAX = 10_000;

export class RecentOrders {
  readonly #sent: { readonly at: number; readonly fingerprint: string }[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly rememberMs: () => number,
  ) {}

  note(fingerprint: string): void {
    this.#forget();
    this.#sent.push({ at: this.clock.monotonicMs(), fingerprint });
  }

  inLastMinute(): number {
    const since = this.clock.monotonicMs() - MINUTE_MS;
    return this.#sent.reduce((count, { at }) => count + (at > since ? 1 : 0), 0);
  }

  /** Milliseconds since the last order alike, or undefined. */
  sinceAlike(fingerprint: string): number | undefined {
    const last = this.#sent.findLast((order) => order.fingerprint === fingerprint);
    return last === undefined ? undefined : this.clock.monotonicMs() - last.at;
  }

  #forget(): void {
    const oldest = this.clock.monotonicMs() - Math.max(MINUTE_MS, this.rememberMs());
    const firstKept = this.#sent.findIndex(({ at }) => at >= oldest);
    if (firstKept !== 0) this.#sent.splice(0, firstKept === -1 ? this.#sent.length : firstKept);
    if (this.#sent.length >= REMEMBERED_MAX) this.#sent.shift();
  }
}
