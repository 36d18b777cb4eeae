/**
 * Who wants which symbol of which channel, and what of it fits the plan: pure bookkeeping, one for the whole instance.
 * Clients come first; what they leave of the limit is given to the stock symbols that are read most. A client's symbol
 * over the limit is refused by name. Bars do not count (docs/broker-wire.md#data-stream-limits).
 */
import type { SymbolReads, WantedSymbols } from './hub-protocol.js';
import { FEED_CHANNELS, type FeedChannel } from './market-data-feed.js';

export interface SubscriptionLimits {
  /** Stock quotes and trades together. */
  readonly stock: number;
  /** Option quotes and trades together. */
  readonly option: number;
}

export type AdaptiveEntry = readonly [symbol: string, score: number];

/** Bounds memory where the plan has no limit. */
const BARS_MAX = 20_000;
/** Reads weigh less with every beat: about half after seven seconds. */
const DECAY = 0.9;
/** A symbol read less than this is not worth a subscription. */
const SCORE_MIN = 3;
/** A newcomer must be read this much more than whom it displaces, or two would take turns. */
const NEWCOMER_FACTOR = 1.5;
const SCORES_MAX = 10_000;

export class SubscriptionBook {
  readonly #granted = new Map<FeedChannel, Map<string, Set<number>>>(
    FEED_CHANNELS.map((channel) => [channel, new Map<string, Set<number>>()]),
  );
  readonly #scores = new Map<string, number>();
  #adaptive = new Set<string>();
  #limits: SubscriptionLimits;

  constructor(limits: SubscriptionLimits) {
    this.#limits = limits;
  }

  /** Everything the worker in `slot` wants, in place of before. Returns what had to be refused. */
  want(slot: number, wanted: WantedSymbols): WantedSymbols {
    const refused: Partial<Record<FeedChannel, string[]>> = {};
    for (const channel of FEED_CHANNELS) {
      const symbols = new Set(wanted[channel] ?? []);
      this.#leave(slot, channel, symbols);
      const over: string[] = [];
      for (const symbol of symbols) {
        if (!this.#join(slot, channel, symbol)) over.push(symbol);
      }
      if (over.length > 0) refused[channel] = over;
    }
    this.#trimAdaptive();
    return refused;
  }

  slotGone(slot: number): void {
    for (const channel of FEED_CHANNELS) this.#leave(slot, channel, new Set());
  }

  slotsFor(channel: FeedChannel, symbol: string): ReadonlySet<number> | undefined {
    return this.#channel(channel).get(symbol);
  }

  /** Everything to be subscribed upstream. */
  symbols(channel: FeedChannel): ReadonlySet<string> {
    const symbols = new Set(this.#channel(channel).keys());
    if (channel === 'quotes') for (const symbol of this.#adaptive) symbols.add(symbol);
    return symbols;
  }

  /** Subscribed on our own account only: no client waits for it. */
  isAdaptive(symbol: string): boolean {
    return this.#adaptive.has(symbol) && !this.#channel('quotes').has(symbol);
  }

  /** The broker allows fewer than configured (error 405). Returns the client symbols that no longer fit. */
  lowerLimit(side: 'stock' | 'option', limit: number): void {
    this.#limits = { ...this.#limits, [side]: Math.max(0, Math.min(this.#limits[side], limit)) };
    this.#trimAdaptive();
  }

  noteReads(reads: SymbolReads): void {
    for (const [symbol, count] of reads) {
      if (this.#scores.size >= SCORES_MAX && !this.#scores.has(symbol)) continue;
      this.#scores.set(symbol, (this.#scores.get(symbol) ?? 0) + count);
    }
  }

  /** Once a beat: old reads fade, and the free places go to whom is read most. Returns whether anything changed. */
  adapt(): boolean {
    for (const [symbol, score] of this.#scores) {
      if (score * DECAY < 0.5) this.#scores.delete(symbol);
      else this.#scores.set(symbol, score * DECAY);
    }
    const quotes = this.#channel('quotes');
    const ranked = [...this.#scores]
      .filter(([symbol, score]) => score >= SCORE_MIN && !quotes.has(symbol))
      .map(([symbol, score]) => ({ symbol, rank: this.#adaptive.has(symbol) ? score * NEWCOMER_FACTOR : score }))
      .sort((a, b) => b.rank - a.rank);
    const next = new Set(ranked.slice(0, this.#free('stock')).map(({ symbol }) => symbol));
    // Who is still read a little keeps a place that nobody else wants: dropping it would gain nothing.
    for (const symbol of this.#adaptive) {
      if (next.size >= this.#free('stock')) break;
      if (!quotes.has(symbol) && this.#scores.has(symbol)) next.add(symbol);
    }
    const changed = next.size !== this.#adaptive.size || [...next].some((symbol) => !this.#adaptive.has(symbol));
    this.#adaptive = next;
    return changed;
  }

  /** What is subscribed on our own account, with how much it is read: for a successor. */
  adaptive(): readonly AdaptiveEntry[] {
    return [...this.#adaptive].map((symbol) => [symbol, this.#scores.get(symbol) ?? 0]);
  }

  /** What a predecessor left, as far as it fits: a successor need not learn anew what is read. */
  restore(entries: readonly AdaptiveEntry[]): void {
    for (const [symbol, score] of entries.slice(0, SCORES_MAX)) {
      this.#scores.set(symbol, Math.max(score, SCORE_MIN));
      this.#adaptive.add(symbol);
    }
    this.#trimAdaptive();
  }

  /** Half of what was subscribed only on our own account, when the broker finds us slow (error 407). */
  shedAdaptive(): void {
    this.#adaptive = new Set([...this.#adaptive].slice(0, Math.floor(this.#adaptive.size / 2)));
  }

  #join(slot: number, channel: FeedChannel, symbol: string): boolean {
    const symbols = this.#channel(channel);
    const slots = symbols.get(symbol);
    if (slots !== undefined) {
      slots.add(slot);
      return true;
    }
    const side = sideOf(channel);
    const isFull = side === undefined ? symbols.size >= BARS_MAX : this.#free(side) <= 0;
    if (isFull) return false;
    symbols.set(symbol, new Set([slot]));
    return true;
  }

  #leave(slot: number, channel: FeedChannel, except: ReadonlySet<string>): void {
    for (const [symbol, slots] of this.#channel(channel)) {
      if (except.has(symbol)) continue;
      slots.delete(slot);
      if (slots.size === 0) this.#channel(channel).delete(symbol);
    }
  }

  #trimAdaptive(): void {
    const quotes = this.#channel('quotes');
    const kept = [...this.#adaptive].filter((symbol) => !quotes.has(symbol));
    kept.sort((a, b) => (this.#scores.get(b) ?? 0) - (this.#scores.get(a) ?? 0));
    this.#adaptive = new Set(kept.slice(0, Math.max(0, this.#free('stock'))));
  }

  /** What clients leave of the limit. */
  #free(side: 'stock' | 'option'): number {
    const channels = FEED_CHANNELS.filter((channel) => sideOf(channel) === side);
    const used = channels.reduce((sum, channel) => sum + this.#channel(channel).size, 0);
    return Math.max(0, this.#limits[side] - used);
  }

  #channel(channel: FeedChannel): Map<string, Set<number>> {
    const symbols = this.#granted.get(channel) ?? new Map<string, Set<number>>();
    this.#granted.set(channel, symbols);
    return symbols;
  }
}

function sideOf(channel: FeedChannel): 'stock' | 'option' | undefined {
  if (channel === 'bars') return undefined;
  return channel === 'quotes' || channel === 'trades' ? 'stock' : 'option';
}
