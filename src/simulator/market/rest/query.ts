/**
 * Reads the query of a data request by the rules of docs/broker-wire.md#market-data-requests; throws DataRefusal on
 * anything else.
 */
import { DAY_MS, midnightOf, MINUTE_MS } from '../new-york.js';
import { badRequest, notEntitled } from './answer.js';

export type Plan = 'basic' | 'plus';

const STOCK = /^[A-Z][A-Z0-9]{0,9}(?:\.[A-Z]{1,3})?$/;
const OCC = /^[A-Z0-9.]{1,6}\d{6}[CP]\d{8}$/;
const LATEST_FEEDS = new Set(['sip', 'iex', 'delayed_sip', 'boats', 'overnight', 'otc']);
const HISTORIC_FEEDS = new Set(['sip', 'iex', 'boats', 'otc']);
const FREE_FEEDS = new Set(['iex', 'delayed_sip', 'indicative']);
const ADJUSTMENTS = new Set(['raw', 'split', 'dividend', 'spin-off', 'all']);
/** Without a subscription the consolidated tape is history after this long. */
export const SIP_DELAY_MS = 15 * MINUTE_MS;
const OPTION_SYMBOLS_MAX = 100;

export function stockSymbols(query: URLSearchParams): readonly string[] {
  return symbolsOf(query, (symbol) => STOCK.test(symbol));
}

export function checkStock(symbol: string): string {
  if (!STOCK.test(symbol)) throw badRequest(`invalid symbol: ${symbol}`);
  return symbol;
}

export function optionSymbols(query: URLSearchParams): readonly string[] {
  const symbols = symbolsOf(query, (symbol) => OCC.test(symbol));
  if (symbols.length > OPTION_SYMBOLS_MAX) throw badRequest('too many symbols: maximum is 100');
  return symbols;
}

/** Sorted and without repeats; one malformed symbol fails the whole request. */
function symbolsOf(query: URLSearchParams, isValid: (symbol: string) => boolean): readonly string[] {
  const symbols = (query.get('symbols') ?? '').split(',').filter((symbol) => symbol !== '');
  if (symbols.length === 0) throw badRequest('symbols is required');
  for (const symbol of symbols) if (!isValid(symbol)) throw badRequest(`invalid symbol: ${symbol}`);
  return [...new Set(symbols)].sort();
}

export function checkLatestFeed(query: URLSearchParams, plan: Plan): void {
  const feed = query.get('feed') ?? (plan === 'plus' ? 'sip' : 'iex');
  if (!LATEST_FEEDS.has(feed)) throw badRequest(`invalid feed: ${feed}`);
  if (plan === 'basic' && !FREE_FEEDS.has(feed)) throw notEntitled(`recent ${feed.toUpperCase()}`);
}

export function checkOptionFeed(query: URLSearchParams, plan: Plan): void {
  const feed = query.get('feed') ?? (plan === 'plus' ? 'opra' : 'indicative');
  if (feed !== 'opra' && feed !== 'indicative') throw badRequest(`invalid feed: ${feed}`);
  if (plan === 'basic' && feed === 'opra') throw notEntitled('OPRA');
}

export interface Range {
  /** UTC milliseconds, both inclusive. */
  readonly start: number;
  readonly end: number;
  readonly limit: number;
  readonly isDescending: boolean;
}

/** `start`, `end`, `limit`, `sort`, and for stocks the entitlement that follows from `feed` and `end`. */
export function readRange(query: URLSearchParams, now: number, plan: Plan | 'any'): Range {
  const feed = query.get('feed') ?? 'sip';
  if (plan !== 'any' && !HISTORIC_FEEDS.has(feed)) throw badRequest(`invalid feed: ${feed}`);
  const isDelayed = plan === 'basic' && !FREE_FEEDS.has(feed);
  const endText = query.get('end');
  const end = endText === null ? now - (isDelayed ? SIP_DELAY_MS : 0) : readTime('end', endText);
  if (isDelayed && end > now - SIP_DELAY_MS) throw notEntitled('recent SIP');
  const today = midnightOf(Math.floor((now - 5 * 3_600_000) / DAY_MS));
  const startText = query.get('start');
  const start = startText === null ? today : readTime('start', startText);
  if (endText !== null && startText !== null && end < start) throw badRequest('end should not be before start');
  const sort = query.get('sort') ?? 'asc';
  if (sort !== 'asc' && sort !== 'desc') throw badRequest(`invalid sort: ${sort}`);
  return { start, end, limit: readLimit(query, 1_000, 10_000), isDescending: sort === 'desc' };
}

export function checkAdjustment(query: URLSearchParams): void {
  for (const each of (query.get('adjustment') ?? 'raw').split(',')) {
    if (!ADJUSTMENTS.has(each)) throw badRequest(`invalid adjustment: ${each}`);
  }
}

export function readLimit(query: URLSearchParams, usual: number, max: number): number {
  const text = query.get('limit');
  if (text === null) return usual;
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > max) throw badRequest(`invalid limit: must be between 1 and ${max}`);
  return limit;
}

/** RFC 3339, or a date, which means midnight in New York. */
export function readTime(name: string, text: string): number {
  if (/^\d{4}-\d{2}-\d{2}$/.test(text)) {
    const utc = Date.parse(`${text}T00:00:00Z`);
    if (Number.isFinite(utc)) return midnightOf(utc / DAY_MS);
  } else if (/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/i.test(text)) {
    const utc = Date.parse(text);
    if (Number.isFinite(utc)) return utc;
  }
  throw badRequest(`invalid ${name}: ${text}`);
}

export function readNumber(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (!/^\d+(?:\.\d+)?$/.test(text)) throw badRequest(`invalid ${name}: ${text}`);
  return Number(text);
}

/** The parts of an opaque page token, or undefined when there is none. */
export function readToken(query: URLSearchParams, parts: number): readonly string[] | undefined {
  const token = query.get('page_token');
  if (token === null || token === '') return undefined;
  const text = Buffer.from(token, 'base64').toString('utf8');
  const found = text.split('|');
  if (found.length !== parts || Buffer.from(text).toString('base64') !== token) throw badRequest('invalid page_token');
  return found;
}

export function writeToken(...parts: readonly string[]): string {
  return Buffer.from(parts.join('|')).toString('base64');
}
