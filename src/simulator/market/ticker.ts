/**
 * Moves the market: so many changes a second, handed out in batches, and the bars that are due when a minute ends.
 * The order of symbols and all sizes come from the seed; only how many fall into one batch depends on the clock.
 */
import type { SimClock } from '../clock.js';
import { MINUTE_MS } from './new-york.js';
import type { SimAsset } from './assets.js';
import type { BarHistory } from './bar-history.js';
import type { SimContract } from './contracts.js';
import type { OptionBook, OptionChain } from './option-chain.js';
import type { Instant, Update } from './records.js';
import type { StockBook } from './stock-book.js';
import { parseTimeframe } from './timeframes.js';

const BATCH_MS = 20;
/** At most this many changes in one batch: a stalled process does not make up for an hour. */
const BATCH_MAX = 20_000;

/** The part of the market that the ticker moves. */
export interface TickedMarket {
  readonly chains: ReadonlyMap<string, OptionChain>;
  assets(): readonly SimAsset[];
  stock(symbol: string): StockBook | undefined;
  contract(occ: string): SimContract | undefined;
  option(occ: string): OptionBook | undefined;
  history(symbol: string): BarHistory | undefined;
  publish(updates: readonly Update[]): void;
  instant(): Instant;
}

export class Ticker {
  #perSecond = 0;
  #stocks: readonly string[] = [];
  #options: readonly string[] = [];
  #owed = 0;
  #place = 0;
  #movedAt: number;
  #cancelBatch: (() => void) | undefined;
  #cancelMinute: () => void;

  constructor(
    private readonly market: TickedMarket,
    private readonly deps: { readonly clock: SimClock; readonly random: () => number },
  ) {
    this.#movedAt = deps.clock.now();
    this.#cancelMinute = this.#awaitMinute();
  }

  /** Changes per second over everything that ticks; 0 stops. */
  setRate(perSecond: number): void {
    this.#perSecond = perSecond;
    this.#owed = 0;
    this.#movedAt = this.deps.clock.now();
    if (perSecond > 0) this.#cancelBatch ??= this.deps.clock.after(BATCH_MS, () => this.#batch());
  }

  /** Only these tick; by default all stocks and no option. */
  setSymbols(symbols: readonly string[]): void {
    this.#stocks = symbols.filter((symbol) => this.market.stock(symbol) !== undefined);
    this.#options = symbols.filter((symbol) => this.market.contract(symbol) !== undefined);
  }

  /** Makes this many changes now: two quotes for one trade, symbol after symbol. */
  tick(count: number): void {
    const updates: Update[] = [];
    const stocks = this.#stocks.length + this.#options.length > 0 ? this.#stocks : this.#allStocks();
    const total = stocks.length + this.#options.length;
    for (let done = 0; done < count && total > 0; done += 1) {
      const at = this.#place % total;
      const isTrade = Math.floor(this.#place / total) % 3 === 2;
      this.#place += 1;
      const symbol = stocks[at];
      if (symbol !== undefined) updates.push(this.#stockTick(symbol, isTrade));
      else this.#optionTick(this.#options[at - stocks.length] ?? '', isTrade, updates);
    }
    if (updates.length > 0) this.market.publish(updates);
  }

  close(): void {
    this.#perSecond = 0;
    this.#cancelBatch?.();
    this.#cancelMinute();
  }

  #allStocks(): readonly string[] {
    this.#stocks = this.market.assets().map((asset) => asset.symbol);
    return this.#stocks;
  }

  #stockTick(symbol: string, isTrade: boolean): Update {
    const book = this.market.stock(symbol);
    if (book === undefined) throw new RangeError(`the market has no ${symbol}`);
    const at = this.market.instant();
    const chance = this.deps.random();
    return isTrade
      ? { kind: 'trade', isOption: false, symbol, trade: book.tickTrade(at, chance) }
      : { kind: 'quote', isOption: false, symbol, quote: book.tickQuote(at, chance) };
  }

  #optionTick(symbol: string, isTrade: boolean, updates: Update[]): void {
    const chain = this.market.chains.get(this.market.contract(symbol)?.underlying_symbol ?? '');
    const book = this.market.option(symbol);
    if (chain === undefined || book === undefined) return;
    const at = this.market.instant();
    const chance = this.deps.random();
    if (isTrade) updates.push({ kind: 'trade', isOption: true, symbol, trade: chain.tickTrade(book, at, chance) });
    else updates.push({ kind: 'quote', isOption: true, symbol, quote: chain.tickQuote(book, at, chance) });
  }

  #batch(): void {
    this.#cancelBatch = undefined;
    const now = this.deps.clock.now();
    this.#owed = Math.min(BATCH_MAX, this.#owed + ((now - this.#movedAt) / 1000) * this.#perSecond);
    this.#movedAt = now;
    const due = Math.floor(this.#owed);
    this.#owed -= due;
    if (due > 0) this.tick(due);
    if (this.#perSecond > 0) this.#cancelBatch = this.deps.clock.after(BATCH_MS, () => this.#batch());
  }

  #awaitMinute(): () => void {
    const now = this.deps.clock.now();
    const end = (Math.floor(now / MINUTE_MS) + 1) * MINUTE_MS;
    return this.deps.clock.after(end - now, () => {
      this.#minuteEnds(end);
      this.#cancelMinute = this.#awaitMinute();
    });
  }

  /** The bar of the minute just ended and the day's bar so far, for every symbol; none outside the session. */
  #minuteEnds(end: number): void {
    const minute = parseTimeframe('1Min');
    if (minute === undefined) return;
    const updates: Update[] = [];
    for (const { symbol } of this.market.assets()) {
      const history = this.market.history(symbol);
      const [bar] = history?.bars(minute, end - MINUTE_MS, end - 1) ?? [];
      if (bar) updates.push({ kind: 'bar', channel: 'bars', symbol, bar });
      const daily = bar ? history?.latestDays()[0] : undefined;
      if (daily) updates.push({ kind: 'bar', channel: 'dailyBars', symbol, bar: daily });
    }
    if (updates.length > 0) this.market.publish(updates);
  }
}
