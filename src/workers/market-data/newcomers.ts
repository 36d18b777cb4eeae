/**
 * Quote symbols that the hub subscribed on its own account and whose stream has not spoken yet. They were read a
 * moment ago, so fetching them once more would be a second call for one question, and no client was promised anything:
 * until the stream speaks their age says what they are worth.
 */
import type { SubscriptionBook } from './subscription-book.js';

/** After this many beats without a word the value is fetched after all, or a quiet symbol would never be live. */
const QUIET_BEATS = 5;

export class Newcomers {
  readonly #beats = new Map<string, number>();
  /** The book's quote symbols when last looked at. */
  #met: ReadonlySet<string> = new Set();

  has(symbol: string): boolean {
    return this.#beats.has(symbol);
  }

  /** Its value is known to be current. */
  settled(symbol: string): void {
    this.#beats.delete(symbol);
  }

  /** What a successor takes over is no newcomer: its readers were promised a current value. */
  takeOver(book: SubscriptionBook): void {
    this.#met = book.symbols('quotes');
  }

  /** The book has changed. Returns those that a client wants now: they are newcomers no more and need their value. */
  sync(book: SubscriptionBook): readonly string[] {
    const symbols = book.symbols('quotes');
    const left = [...this.#beats.keys()].filter((symbol) => !book.isAdaptive(symbol));
    for (const symbol of left) this.#beats.delete(symbol);
    for (const symbol of symbols) {
      if (!this.#met.has(symbol) && book.isAdaptive(symbol)) this.#beats.set(symbol, 0);
    }
    this.#met = symbols;
    return left.filter((symbol) => symbols.has(symbol));
  }

  /** A beat of the hub has passed for those that are confirmed. */
  beat(confirmed: ReadonlySet<string>): void {
    for (const [symbol, beats] of this.#beats) {
      if (!confirmed.has(symbol)) continue;
      if (beats + 1 >= QUIET_BEATS) this.#beats.delete(symbol);
      else this.#beats.set(symbol, beats + 1);
    }
  }
}
