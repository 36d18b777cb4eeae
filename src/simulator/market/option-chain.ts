/**
 * The live chain of one underlying. Contracts are revalued lazily: when somebody looks and the underlying has moved,
 * at most once in `refreshMs`. Some contracts never traded, some have no bid, some lack greeks, as in the real feed.
 */
import { BarHistory } from './bar-history.js';
import { yearsUntil, type SimContract } from './contracts.js';
import { dateText, dayOf } from './new-york.js';
import { valueOption, type Greeks } from './option-model.js';
import { PriceWalk } from './price-walk.js';
import type { Instant, Quote, Trade } from './records.js';
import { seedOf } from './seed.js';

/** The live state of one contract. */
export interface OptionBook {
  readonly contract: SimContract;
  quote: Quote;
  trade: Trade | undefined;
  /** null is sent as null, undefined is left out: the real feed has been seen doing both. */
  greeks: Greeks | null | undefined;
  impliedVolatility: number | undefined;
  /** Serialised snapshot and the minute it was made in; kept here by the REST side, dropped with every change. */
  text: { readonly minute: number; readonly json: string } | undefined;
  /** Serialised bars and the minute they were made in: they change with time, not with the price. */
  bars: { readonly minute: number; readonly json: string } | undefined;
  history: BarHistory | undefined;
  pinned: number | undefined;
  valuation: number;
  readonly seed: number;
}

/** Options trade seldom. */
const MINUTES_BETWEEN_BARS = 30;
const EXCHANGES = ['W', 'N', 'X', 'B', 'C', 'A', 'M'] as const;

function toCent(price: number): number {
  return Math.round(price * 100) / 100;
}

export class OptionChain {
  readonly books: readonly OptionBook[];
  readonly #bySymbol = new Map<string, OptionBook>();
  #valuation = 1;
  #valuedAt: number;
  #spot: number;
  #today = { day: 0, text: '' };
  /** Grows with every change anywhere in the chain: a page cached under an older number is stale. */
  changes = 1;

  constructor(
    readonly underlying: string,
    contracts: readonly SimContract[],
    private readonly market: { spot(): number; now(): Instant },
    private readonly refreshMs: number,
  ) {
    this.#spot = market.spot();
    const now = market.now();
    this.#valuedAt = now.ms;
    this.books = contracts.map((contract) => ({
      contract,
      quote: { symbol: contract.symbol, bx: ' ', bp: 0, bs: 0, ax: ' ', ap: 0, as: 0, at: now },
      trade: undefined,
      greeks: undefined,
      impliedVolatility: undefined,
      text: undefined,
      bars: undefined,
      history: undefined,
      pinned: undefined,
      valuation: 0,
      seed: seedOf(contract.symbol, 5),
    }));
    for (const book of this.books) this.#bySymbol.set(book.contract.symbol, book);
  }

  /** The contract's state, revalued when it is due. */
  book(symbol: string): OptionBook | undefined {
    const book = this.#bySymbol.get(symbol);
    return book === undefined ? undefined : this.fresh(book);
  }

  fresh(book: OptionBook): OptionBook {
    this.refresh();
    if (book.valuation !== this.#valuation) this.#value(book, this.market.now(), 0.5);
    return book;
  }

  /** Bars of a contract: its own walk around a fair value, one minute in thirty. */
  history(book: OptionBook): BarHistory {
    if (book.history !== undefined) return book.history;
    const middle = (this.fresh(book).quote.bp + book.quote.ap) / 2;
    const now = (): number => this.market.now().ms;
    book.history = new BarHistory(new PriceWalk(book.seed, Math.max(0.05, middle)), now, MINUTES_BETWEEN_BARS);
    return book.history;
  }

  /** Makes every valuation stale when the underlying moved and the last one is old enough, or at once when forced. */
  refresh(isForced = false): void {
    const spot = this.market.spot();
    if (spot === this.#spot && !isForced) return;
    const now = this.market.now().ms;
    if (!isForced && now - this.#valuedAt < this.refreshMs) return;
    this.#spot = spot;
    this.#valuedAt = now;
    this.#valuation += 1;
    this.changes += 1;
  }

  /** A new quote for this contract at the underlying's price of this moment. */
  tickQuote(book: OptionBook, at: Instant, chance: number): Quote {
    this.#spot = this.market.spot();
    this.#value(book, at, chance);
    return book.quote;
  }

  tickTrade(book: OptionBook, at: Instant, chance: number): Trade {
    this.fresh(book);
    const price = chance < 0.5 && book.quote.bp > 0 ? book.quote.bp : book.quote.ap;
    book.trade = this.#tradeAt(book, price, at);
    book.text = undefined;
    this.changes += 1;
    return book.trade;
  }

  /** Holds the contract at this price until the next call. */
  setPrice(book: OptionBook, price: number, at: Instant): void {
    book.pinned = price;
    this.#value(book, at, 0.5);
    book.trade = this.#tradeAt(book, price, at);
  }

  #value(book: OptionBook, at: Instant, chance: number): void {
    const { contract, seed } = book;
    const years = yearsUntil(contract.expiration_date, at.ms);
    const model = valueOption(contract.type, this.#spot, Number(contract.strike_price), years);
    const value = book.pinned ?? model.value * (1 + (chance - 0.5) * 0.004);
    const half = Math.max(0.01, value * 0.01);
    const bid = Math.max(0, toCent(value - half));
    const venue = (seed + Math.floor(chance * 97)) % 701;
    book.quote = {
      symbol: contract.symbol,
      bx: bid === 0 ? ' ' : (EXCHANGES[venue % EXCHANGES.length] ?? 'W'),
      bp: bid,
      bs: bid === 0 ? 0 : 1 + venue,
      ax: EXCHANGES[(venue + 3) % EXCHANGES.length] ?? 'N',
      ap: Math.max(0.01, toCent(value + half)),
      as: 1 + ((venue * 7) % 701),
      at,
    };
    const isSilent = bid === 0 || seed % 13 === 0 || contract.expiration_date === this.#todayAt(at.ms);
    book.impliedVolatility = isSilent ? undefined : model.impliedVolatility;
    book.greeks = isSilent ? (seed % 97 === 0 ? null : undefined) : model.greeks;
    if (book.valuation === 0 && seed % 7 !== 0) book.trade = this.#tradeAt(book, Math.max(0.01, toCent(value)), at);
    book.valuation = this.#valuation;
    book.text = undefined;
    this.changes += 1;
  }

  #todayAt(ms: number): string {
    const day = dayOf(ms);
    if (day !== this.#today.day) this.#today = { day, text: dateText(day) };
    return this.#today.text;
  }

  #tradeAt(book: OptionBook, price: number, at: Instant): Trade {
    return {
      symbol: book.contract.symbol,
      x: EXCHANGES[book.seed % EXCHANGES.length] ?? 'N',
      p: price,
      s: 1 + (book.seed % 40),
      i: 0,
      at,
    };
  }
}
