/**
 * The simulated market: stocks, option chains, last values and the ticking of both. Trading looks at it through
 * MarketView; the data REST routes and streams read and follow it through Market. It knows no account and no order.
 */
import type { SimClock } from '../clock.js';
import { listAssets, TEST_SYMBOL, type SimAsset } from './assets.js';
import { BarHistory } from './bar-history.js';
import { listContracts, matches, type ChainSize, type ContractFilter, type SimContract } from './contracts.js';
import { dayOf, MINUTE_MS } from './new-york.js';
import { OptionChain, type OptionBook } from './option-chain.js';
import type { Bar } from './price-walk.js';
import type { Instant, Update } from './records.js';
import { mix, randomStream, seedOf } from './seed.js';
import { StockBook } from './stock-book.js';
import { Ticker } from './ticker.js';
import { parseTimeframe } from './timeframes.js';

/** What trading needs to know of the market. Prices in dollars, sizes in shares or contracts. */
export interface MarketView {
  /** Of a stock or an OCC option symbol. */
  quote(symbol: string): { bid: number; ask: number; bidSize: number; askSize: number } | undefined;
  last(symbol: string): number | undefined;
  asset(symbolOrId: string): SimAsset | undefined;
  assets(): readonly SimAsset[];
  contract(occOrId: string): SimContract | undefined;
  /** In the order of their symbols. */
  contracts(filter: ContractFilter): readonly SimContract[];
  /** Called after every batch of changes with the symbols that changed. Returns the end of listening. */
  onTick(listen: (symbols: readonly string[]) => void): () => void;
  /** Puts the last price and the quote of a stock or an option here, and tells the listeners. */
  setPrice(symbol: string, price: number): void;
}

/** What the data side needs on top. */
export interface Market extends MarketView {
  readonly chains: ReadonlyMap<string, OptionChain>;
  readonly ticker: Ticker;
  stock(symbol: string): StockBook | undefined;
  option(occ: string): OptionBook | undefined;
  history(symbol: string): BarHistory | undefined;
  /** Bars with start in [start, end] (UTC ms) of a stock; throws RangeError on an unknown time frame. */
  bars(symbol: string, timeframe: string, start: number, end: number): readonly Bar[];
  onUpdates(listen: (updates: readonly Update[]) => void): () => void;
  /** Sends records to the listeners: halts, corrections, bands, or the caller's own quotes. Changes no book. */
  publish(updates: readonly Update[]): void;
  /** The next instant: never the same nanosecond twice. */
  instant(): Instant;
  close(): void;
}

export interface MarketOptions {
  readonly seed: number;
  readonly clock: SimClock;
  /** How many stocks, or their symbols. Default 16. */
  readonly symbols?: number | readonly string[];
  /** Which chains exist. Default none. */
  readonly optionUnderlyings?: readonly ChainSize[];
  /** Changes per second over all symbols, from the start. Default 0: nothing moves until a test says so. */
  readonly ticksPerSecond?: number;
  /** How long option quotes may lag behind the underlying. Default 1000 ms. */
  readonly chainRefreshMs?: number;
}

export function createMarket(options: MarketOptions): Market {
  return new SimMarket(options);
}

class SimMarket implements Market {
  readonly chains = new Map<string, OptionChain>();
  readonly ticker: Ticker;
  readonly #clock: SimClock;
  readonly #stocks = new Map<string, StockBook>();
  readonly #histories = new Map<string, BarHistory>();
  readonly #assets: readonly SimAsset[];
  readonly #assetById = new Map<string, SimAsset>();
  readonly #contracts = new Map<string, SimContract>();
  readonly #tickListeners = new Set<(symbols: readonly string[]) => void>();
  readonly #updateListeners = new Set<(updates: readonly Update[]) => void>();
  #lastMs = 0;
  #lastNs = 0;

  constructor(options: MarketOptions) {
    this.#clock = options.clock;
    const listings = listAssets(options.symbols ?? 16);
    this.#assets = listings.map(({ asset }) => asset);
    for (const { asset, basePrice } of listings) {
      this.#assetById.set(asset.id, asset);
      this.#addStock(asset.symbol, asset, [seedOf(asset.symbol, options.seed), basePrice]);
    }
    this.#addStock(TEST_SYMBOL, undefined, [seedOf(TEST_SYMBOL, options.seed), 130]);
    for (const size of options.optionUnderlyings ?? []) this.#addChain(size, options.chainRefreshMs ?? 1000);
    this.ticker = new Ticker(this, { clock: this.#clock, random: randomStream(mix(options.seed, 0x7105)) });
    this.ticker.setRate(options.ticksPerSecond ?? 0);
  }

  quote(symbol: string): { bid: number; ask: number; bidSize: number; askSize: number } | undefined {
    const quote = (this.#stocks.get(symbol) ?? this.option(symbol))?.quote;
    return quote && { bid: quote.bp, ask: quote.ap, bidSize: quote.bs, askSize: quote.as };
  }

  /** An option that never traded is worth the middle of its quote. */
  last(symbol: string): number | undefined {
    const stock = this.#stocks.get(symbol);
    if (stock !== undefined) return stock.last;
    const option = this.option(symbol);
    return option && (option.trade?.p ?? Math.round((option.quote.bp + option.quote.ap) * 50) / 100);
  }

  asset(symbolOrId: string): SimAsset | undefined {
    return this.#stocks.get(symbolOrId)?.asset ?? this.#assetById.get(symbolOrId);
  }

  assets(): readonly SimAsset[] {
    return this.#assets;
  }

  contract(occOrId: string): SimContract | undefined {
    return this.#contracts.get(occOrId);
  }

  contracts(filter: ContractFilter): readonly SimContract[] {
    const found: SimContract[] = [];
    for (const chain of this.chains.values()) {
      if (filter.underlyings !== undefined && !filter.underlyings.includes(chain.underlying)) continue;
      for (const { contract } of chain.books) if (matches(contract, filter)) found.push(contract);
    }
    return found;
  }

  onTick(listen: (symbols: readonly string[]) => void): () => void {
    this.#tickListeners.add(listen);
    return () => void this.#tickListeners.delete(listen);
  }

  onUpdates(listen: (updates: readonly Update[]) => void): () => void {
    this.#updateListeners.add(listen);
    return () => void this.#updateListeners.delete(listen);
  }

  setPrice(symbol: string, price: number): void {
    const at = this.instant();
    const stock = this.#stocks.get(symbol);
    const chain = this.chains.get(stock === undefined ? (this.contract(symbol)?.underlying_symbol ?? '') : symbol);
    const option = stock === undefined ? chain?.book(symbol) : undefined;
    if (stock !== undefined) {
      stock.setPrice(price, at);
      chain?.refresh(true);
    } else if (option !== undefined && chain !== undefined) chain.setPrice(option, price, at);
    else throw new RangeError(`the market has no ${symbol}`);
    const { quote, trade } = stock ?? option ?? {};
    const isOption = stock === undefined;
    this.publish([
      ...(quote === undefined ? [] : [{ kind: 'quote', isOption, symbol, quote } as const]),
      ...(trade === undefined ? [] : [{ kind: 'trade', isOption, symbol, trade } as const]),
    ]);
  }

  stock(symbol: string): StockBook | undefined {
    return this.#stocks.get(symbol);
  }

  option(occ: string): OptionBook | undefined {
    const contract = this.#contracts.get(occ);
    return contract && this.chains.get(contract.underlying_symbol)?.book(occ);
  }

  history(symbol: string): BarHistory | undefined {
    const stock = this.#stocks.get(symbol);
    if (stock === undefined) return undefined;
    let history = this.#histories.get(symbol);
    if (history === undefined) {
      history = new BarHistory(stock.walk, () => this.#clock.now());
      this.#histories.set(symbol, history);
    }
    return history;
  }

  bars(symbol: string, timeframe: string, start: number, end: number): readonly Bar[] {
    const parsed = parseTimeframe(timeframe);
    if (parsed === undefined) throw new RangeError(`no time frame ${timeframe}`);
    return [...(this.history(symbol)?.bars(parsed, start, end) ?? [])];
  }

  publish(updates: readonly Update[]): void {
    for (const listen of this.#updateListeners) listen(updates);
    if (this.#tickListeners.size === 0) return;
    const symbols = [...new Set(updates.map((update) => update.symbol))];
    for (const listen of this.#tickListeners) listen(symbols);
  }

  instant(): Instant {
    const ms = this.#clock.now();
    this.#lastNs = ms === this.#lastMs ? this.#lastNs + 137 : mix(ms, 3) % 100_000;
    this.#lastMs = ms;
    return { ms, ns: this.#lastNs % 1_000_000 };
  }

  close(): void {
    this.ticker.close();
    this.#tickListeners.clear();
    this.#updateListeners.clear();
  }

  #addStock(symbol: string, asset: SimAsset | undefined, seedAndBase: readonly [number, number]): void {
    this.#stocks.set(symbol, new StockBook(symbol, asset, seedAndBase, this.instant()));
  }

  #addChain(size: ChainSize, refreshMs: number): void {
    const stock = this.#stocks.get(size.underlying);
    if (stock?.asset === undefined) throw new RangeError(`a chain needs its underlying: ${size.underlying}`);
    const today = dayOf(this.#clock.now() - MINUTE_MS);
    const contracts = listContracts(size, stock.asset.id, stock.last, today);
    for (const contract of contracts) {
      this.#contracts.set(contract.symbol, contract);
      this.#contracts.set(contract.id, contract);
    }
    const view = { spot: () => stock.last, now: () => this.instant() };
    this.chains.set(size.underlying, new OptionChain(size.underlying, contracts, view, refreshMs));
  }
}
