/** The live state of one stock: its last trade and its quote. Moves along the seeded walk when ticked, or where a test puts it. */
import type { SimAsset } from './assets.js';
import { PriceWalk, toTick } from './price-walk.js';
import type { Instant, Quote, Trade } from './records.js';

const EXCHANGES = ['Q', 'V', 'K', 'P', 'Z', 'N'] as const;
const FIRST_TRADE_ID = 52_983_525_000_000;

export class StockBook {
  readonly walk: PriceWalk;
  #scale = 1;
  #trades = 0;
  #quote: Quote;
  #trade: Trade;

  constructor(
    readonly symbol: string,
    readonly asset: SimAsset | undefined,
    seedAndBase: readonly [number, number],
    at: Instant,
  ) {
    this.walk = new PriceWalk(seedAndBase[0], seedAndBase[1]);
    const price = toTick(this.walk.priceAt(at.ms));
    this.#trade = this.#tradeAt(price, 0.5, at);
    this.#quote = this.#quoteAround(price, 0.5, at);
  }

  get quote(): Quote {
    return this.#quote;
  }

  get trade(): Trade {
    return this.#trade;
  }

  get last(): number {
    return this.#trade.p;
  }

  /** The next quote around the walk's price at this instant. `chance` in [0, 1) decides sizes, spread and venue. */
  tickQuote(at: Instant, chance: number): Quote {
    this.#quote = this.#quoteAround(this.#priceAt(at, chance), chance, at);
    return this.#quote;
  }

  /** The next trade, at the bid or at the ask of the standing quote, so that last and quote never contradict each other. */
  tickTrade(at: Instant, chance: number): Trade {
    const price = chance < 0.5 ? this.#quote.bp : this.#quote.ap;
    this.#trade = this.#tradeAt(price, chance, at);
    return this.#trade;
  }

  /** Puts the last price and the quote here; the walk goes on from this price. */
  setPrice(price: number, at: Instant): void {
    this.#scale = price / this.walk.priceAt(at.ms);
    this.#trade = this.#tradeAt(price, 0.5, at);
    this.#quote = this.#quoteAround(price, 0.5, at);
  }

  #priceAt(at: Instant, chance: number): number {
    return toTick(this.walk.priceAt(at.ms) * this.#scale * (1 + (chance - 0.5) * 0.0004));
  }

  #quoteAround(price: number, chance: number, at: Instant): Quote {
    const tick = price >= 1 ? 0.01 : 0.0001;
    const half = Math.max(tick, price * 0.00004 * (1 + chance));
    const venue = Math.floor(chance * 97);
    return {
      symbol: this.symbol,
      bx: EXCHANGES[venue % EXCHANGES.length] ?? 'Q',
      bp: toTick(price - half),
      bs: 100 * (1 + (venue % 9)),
      ax: EXCHANGES[(venue + 2) % EXCHANGES.length] ?? 'Q',
      ap: toTick(price + half),
      as: 100 * (1 + ((venue + 4) % 9)),
      at,
    };
  }

  #tradeAt(price: number, chance: number, at: Instant): Trade {
    this.#trades += 1;
    const venue = Math.floor(chance * 89);
    return {
      symbol: this.symbol,
      x: EXCHANGES[venue % EXCHANGES.length] ?? 'Q',
      p: price,
      s: 1 + venue * 3,
      i: FIRST_TRADE_ID + this.#trades,
      at,
    };
  }
}
