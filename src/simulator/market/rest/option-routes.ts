/**
 * GET /v1beta1/options/…: chains, snapshots, latest values and history of options. Snapshots are kept serialised per
 * contract, and whole pages as long as nothing in the chain changes: a page of a thousand must cost milliseconds.
 */
import { matches, type ContractFilter } from '../contracts.js';
import { MINUTE_MS } from '../new-york.js';
import type { OptionBook, OptionChain } from '../option-chain.js';
import { parseTimeframe } from '../timeframes.js';
import { badRequest } from './answer.js';
import { barSource, printSource, readPage, type Source } from './history.js';
import { metaOf } from './meta.js';
import {
  checkOptionFeed,
  optionSymbols,
  readLimit,
  readNumber,
  readRange,
  readTime,
  readToken,
  writeToken,
} from './query.js';
import type { RouteContext } from './stock-routes.js';
import { wireOptionQuote, wireOptionBars, wireOptionValues, wireOptionTrade, type WireRecord } from './wire.js';

const ROOT = '/v1beta1/options/';
const PAGES_KEPT = 256;

interface CachedPage {
  readonly changes: number;
  readonly minute: number;
  readonly body: string;
}

export class OptionRoutes {
  readonly #pages = new Map<string, CachedPage>();

  constructor(private readonly context: RouteContext) {}

  /** A value to serialise, a serialised body, or undefined when the path is none of ours. Throws DataRefusal. */
  answer(path: string, query: URLSearchParams): unknown {
    if (!path.startsWith(ROOT)) return undefined;
    const parts = path.slice(ROOT.length).split('/');
    const name = parts.join('/');
    if (parts[0] === 'meta') return metaOf('options', parts.slice(1), query);
    if (name === 'snapshots') return this.#snapshots(query);
    if (parts[0] === 'snapshots' && parts.length === 2) return this.#chain(decodeURIComponent(parts[1] ?? ''), query);
    if (name === 'quotes/latest') return this.#latest('quotes', query, (book) => wireOptionQuote(book.quote));
    if (name === 'trades/latest') {
      return this.#latest('trades', query, (book) => book.trade && wireOptionTrade(book.trade));
    }
    if (name === 'bars' || name === 'trades') return this.#history(name, query);
    return undefined;
  }

  #latest(kind: string, query: URLSearchParams, read: (book: OptionBook) => WireRecord | undefined): unknown {
    const symbols = optionSymbols(query);
    checkOptionFeed(query, this.context.plan());
    const found: Record<string, WireRecord> = {};
    for (const symbol of symbols) {
      const book = this.context.market.option(symbol);
      const record = book && read(book);
      if (record !== undefined) found[symbol] = record;
    }
    return { [kind]: found };
  }

  #snapshots(query: URLSearchParams): string {
    const symbols = optionSymbols(query);
    checkOptionFeed(query, this.context.plan());
    const books: { chain: OptionChain; book: OptionBook }[] = [];
    for (const symbol of symbols) {
      const contract = this.context.market.contract(symbol);
      const chain = this.context.market.chains.get(contract?.underlying_symbol ?? '');
      const book = chain?.book(symbol);
      if (chain !== undefined && book !== undefined) books.push({ chain, book });
    }
    return this.#page(books, query);
  }

  #chain(underlying: string, query: URLSearchParams): string {
    if (!/^[A-Z][A-Z0-9.]{0,9}$/.test(underlying)) throw badRequest(`invalid symbol: ${underlying}`);
    checkOptionFeed(query, this.context.plan());
    const chain = this.context.market.chains.get(underlying);
    if (chain === undefined) return this.#page([], query);
    chain.refresh();
    const key = `${underlying}?${query.toString()}`;
    const minute = this.#minute();
    const cached = this.#pages.get(key);
    if (cached?.changes === chain.changes && cached.minute === minute) return cached.body;
    const filter = readFilter(query);
    const books = chain.books.filter((book) => matches(book.contract, filter)).map((book) => ({ chain, book }));
    const body = this.#page(books, query);
    if (this.#pages.size >= PAGES_KEPT) this.#pages.clear();
    this.#pages.set(key, { changes: chain.changes, minute, body });
    return body;
  }

  /** `books` are in the order of their symbols; the token names the last one of the page before. */
  #page(books: readonly { chain: OptionChain; book: OptionBook }[], query: URLSearchParams): string {
    const limit = readLimit(query, 100, 1_000);
    const [after = ''] = readToken(query, 1) ?? [];
    const since = query.get('updated_since');
    const sinceMs = since === null ? undefined : readTime('updated_since', since);
    const texts: string[] = [];
    let last = '';
    let next: string | null = null;
    for (const { chain, book } of books) {
      const { symbol } = book.contract;
      if (symbol <= after || (sinceMs !== undefined && chain.fresh(book).quote.at.ms < sinceMs)) continue;
      if (texts.length === limit) {
        next = writeToken(last);
        break;
      }
      texts.push(`"${symbol}":${this.#text(chain, book)}`);
      last = symbol;
    }
    return `{"next_page_token":${JSON.stringify(next)},"snapshots":{${texts.join(',')}}}`;
  }

  #text(chain: OptionChain, stale: OptionBook): string {
    const book = chain.fresh(stale);
    const minute = this.#minute();
    if (book.text?.minute === minute) return book.text.json;
    const values = JSON.stringify(wireOptionValues(book));
    const bars = book.trade === undefined ? '{}' : this.#bars(chain, book, minute);
    const json = bars === '{}' ? values : `${values.slice(0, -1)},${bars.slice(1)}`;
    book.text = { minute, json };
    return json;
  }

  #bars(chain: OptionChain, book: OptionBook, minute: number): string {
    if (book.bars?.minute === minute) return book.bars.json;
    const history = chain.history(book);
    const json = JSON.stringify(wireOptionBars(history.latestMinute(), history.latestDays()));
    book.bars = { minute, json };
    return json;
  }

  #history(kind: 'bars' | 'trades', query: URLSearchParams): unknown {
    const symbols = optionSymbols(query);
    const range = readRange(query, this.context.now(), 'any');
    const { records, next } = readPage(query, range, symbols, this.#source(kind, query));
    return { [kind]: records, next_page_token: next };
  }

  #source(kind: 'bars' | 'trades', query: URLSearchParams): { source: Source; letter: string } {
    const historyOf = (symbol: string): ReturnType<OptionChain['history']> | undefined => {
      const { market } = this.context;
      const book = market.option(symbol);
      const chain = market.chains.get(book?.contract.underlying_symbol ?? '');
      return book?.trade === undefined ? undefined : chain?.history(book);
    };
    if (kind === 'trades') return { source: printSource(historyOf, 'option-trade'), letter: 'T' };
    const text = query.get('timeframe') ?? '';
    const timeframe = parseTimeframe(text);
    if (timeframe === undefined) throw badRequest(text === '' ? 'timeframe is required' : `invalid timeframe: ${text}`);
    return { source: barSource(historyOf, timeframe), letter: timeframe.letter };
  }

  #minute(): number {
    return Math.floor(this.context.now() / MINUTE_MS);
  }
}

function readFilter(query: URLSearchParams): ContractFilter {
  const type = query.get('type');
  if (type !== null && type !== 'call' && type !== 'put') throw badRequest(`invalid type: ${type}`);
  const root = query.get('root_symbol');
  const exact = readDate(query, 'expiration_date');
  const from = exact ?? readDate(query, 'expiration_date_gte');
  const to = exact ?? readDate(query, 'expiration_date_lte');
  const low = readNumber(query, 'strike_price_gte');
  const high = readNumber(query, 'strike_price_lte');
  return {
    ...(type === null ? {} : { type }),
    ...(root === null ? {} : { root }),
    ...(from === undefined ? {} : { expirationFrom: from }),
    ...(to === undefined ? {} : { expirationTo: to }),
    ...(low === undefined ? {} : { strikeFrom: low }),
    ...(high === undefined ? {} : { strikeTo: high }),
  };
}

function readDate(query: URLSearchParams, name: string): string | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^\d{4}-\d{2}-\d{2}$/.test(text) || Number.isNaN(Date.parse(text))) throw badRequest(`invalid ${name}: ${text}`);
  return text;
}
