/** GET /v2/stocks/…: latest values, snapshots and history of stocks. */
import type { Market } from '../market.js';
import type { StockBook } from '../stock-book.js';
import { parseTimeframe } from '../timeframes.js';
import { badRequest } from './answer.js';
import { barSource, printSource, readPage, type Page, type Source } from './history.js';
import { metaOf } from './meta.js';
import { checkAdjustment, checkLatestFeed, checkStock, readRange, stockSymbols, type Plan } from './query.js';
import { wireBar, wireQuote, wireTrade, type WireRecord } from './wire.js';

export interface RouteContext {
  readonly market: Market;
  readonly now: () => number;
  readonly plan: () => Plan;
}

const ROOT = '/v2/stocks/';
const KINDS = { bars: 'bar', quotes: 'quote', trades: 'trade' } as const;
type Kind = keyof typeof KINDS;

/** The value to be serialised, or undefined when the path is none of ours. Throws DataRefusal. */
export function answerStocks(context: RouteContext, path: string, query: URLSearchParams): unknown {
  if (!path.startsWith(ROOT)) return undefined;
  const parts = path.slice(ROOT.length).split('/');
  if (parts[0] === 'meta') return metaOf('stocks', parts.slice(1), query);
  if (parts.length === 1 && parts[0] === 'snapshots') return snapshots(context, query);
  if (parts.length === 2 && parts[1] === 'snapshot') return snapshot(context, symbolOf(parts[0]), query);
  const [first, second, third] = parts;
  if (parts.length === 1 && isKind(first)) return history(context, first, query, undefined);
  if (parts.length === 2 && isKind(first) && second === 'latest') return latestOfMany(context, first, query);
  if (parts.length === 2 && isKind(second)) return history(context, second, query, symbolOf(first));
  if (parts.length === 3 && isKind(second) && third === 'latest') {
    return latestOfOne(context, second, symbolOf(first), query);
  }
  return undefined;
}

function isKind(text: string | undefined): text is Kind {
  return text !== undefined && Object.hasOwn(KINDS, text);
}

function symbolOf(part: string | undefined): string {
  return checkStock(decodeURIComponent(part ?? ''));
}

function latestOfMany({ market, plan }: RouteContext, kind: Kind, query: URLSearchParams): unknown {
  const symbols = stockSymbols(query);
  checkLatestFeed(query, plan());
  const found: Record<string, WireRecord> = {};
  for (const symbol of symbols) {
    const record = latest(market, kind, symbol);
    if (record !== undefined) found[symbol] = record;
  }
  return { [kind]: found, ...currencyOf(query) };
}

function latestOfOne({ market, plan }: RouteContext, kind: Kind, symbol: string, query: URLSearchParams): unknown {
  checkLatestFeed(query, plan());
  const record = latest(market, kind, symbol);
  if (record === undefined) throw badRequest(`no ${KINDS[kind]} found for ${symbol}`);
  return { [KINDS[kind]]: record, symbol, ...currencyOf(query) };
}

function latest(market: Market, kind: Kind, symbol: string): WireRecord | undefined {
  const stock = market.stock(symbol);
  if (stock?.asset === undefined) return undefined;
  if (kind === 'quotes') return wireQuote(stock.quote);
  if (kind === 'trades') return wireTrade(stock.trade);
  const bar = market.history(symbol)?.latestMinute();
  return bar && wireBar(bar);
}

/** A bare map from symbol to snapshot, without an envelope. */
function snapshots({ market, plan }: RouteContext, query: URLSearchParams): unknown {
  const symbols = stockSymbols(query);
  checkLatestFeed(query, plan());
  const found: Record<string, WireRecord> = {};
  for (const symbol of symbols) {
    const stock = market.stock(symbol);
    if (stock?.asset !== undefined) found[symbol] = snapshotOf(market, stock);
  }
  return found;
}

function snapshot({ market, plan }: RouteContext, symbol: string, query: URLSearchParams): unknown {
  checkLatestFeed(query, plan());
  const stock = market.stock(symbol);
  if (stock?.asset === undefined) throw badRequest(`no snapshot found for ${symbol}`);
  return { ...snapshotOf(market, stock), symbol, ...currencyOf(query) };
}

function snapshotOf(market: Market, stock: StockBook): WireRecord {
  const history = market.history(stock.symbol);
  const [day, before] = history?.latestDays() ?? [];
  const minute = history?.latestMinute();
  return {
    dailyBar: day && wireBar(day),
    latestQuote: wireQuote(stock.quote),
    latestTrade: wireTrade(stock.trade),
    minuteBar: minute && wireBar(minute),
    prevDailyBar: before && wireBar(before),
  };
}

function history({ market, now, plan }: RouteContext, kind: Kind, query: URLSearchParams, one?: string): unknown {
  const symbols = one === undefined ? stockSymbols(query) : [one];
  const range = readRange(query, now(), plan());
  const { source, letter } = sourceOf(market, kind, query);
  const { records, next }: Page = readPage(query, range, symbols, { source, letter });
  const tail = { next_page_token: next, ...currencyOf(query) };
  return one === undefined ? { [kind]: records, ...tail } : { [kind]: records[one] ?? [], symbol: one, ...tail };
}

function sourceOf(market: Market, kind: Kind, query: URLSearchParams): { source: Source; letter: string } {
  const historyOf = (symbol: string): ReturnType<Market['history']> => market.asset(symbol) && market.history(symbol);
  if (kind === 'trades') return { source: printSource(historyOf, 'stock-trade'), letter: 'T' };
  if (kind === 'quotes') return { source: printSource(historyOf, 'stock-quote'), letter: 'Q' };
  checkAdjustment(query);
  const text = query.get('timeframe') ?? '';
  const timeframe = parseTimeframe(text);
  if (timeframe === undefined) throw badRequest(text === '' ? 'timeframe is required' : `invalid timeframe: ${text}`);
  return { source: barSource(historyOf, timeframe), letter: timeframe.letter };
}

function currencyOf(query: URLSearchParams): { currency?: string } {
  const currency = query.get('currency');
  return currency === null ? {} : { currency };
}
