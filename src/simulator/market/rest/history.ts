/**
 * Paged history of bars, trades and quotes: sorted by symbol, then time; the limit counts records over all symbols; a
 * page token names the last record sent. Records are computed only as far as the page needs them.
 */
import type { BarHistory } from '../bar-history.js';
import { bucketStart, type Timeframe } from '../timeframes.js';
import { instantText } from '../records.js';
import { mix } from '../seed.js';
import { badRequest } from './answer.js';
import { readToken, writeToken, type Range } from './query.js';
import { wireBar, type WireRecord } from './wire.js';

/** Records of one symbol in [start, end] in the order asked for, each with its instant in milliseconds. */
export type Source = (
  symbol: string,
  start: number,
  end: number,
  isDescending: boolean,
) => Iterable<readonly [number, WireRecord]>;

export interface Page {
  readonly records: Readonly<Record<string, readonly WireRecord[]>>;
  readonly next: string | null;
}

/** `letter` tells tokens of one kind of history from those of another. */
export function readPage(
  query: URLSearchParams,
  range: Range,
  symbols: readonly string[],
  { source, letter }: { readonly source: Source; readonly letter: string },
): Page {
  const token = readToken(query, 3);
  if (token !== undefined && token[1] !== letter) throw badRequest('invalid page_token');
  const after = token === undefined ? undefined : Date.parse(token[2] ?? '');
  if (after !== undefined && !Number.isFinite(after)) throw badRequest('invalid page_token');
  const records: Record<string, WireRecord[]> = {};
  let last: readonly [string, number] | undefined;
  let count = 0;
  for (const symbol of symbols) {
    if (token !== undefined && symbol < (token[0] ?? '')) continue;
    const resumed = token !== undefined && symbol === token[0] ? after : undefined;
    for (const [at, record] of source(symbol, ...resume(range, resumed), range.isDescending)) {
      if (count === range.limit && last !== undefined) {
        return { records, next: writeToken(last[0], letter, tokenTime(last[1])) };
      }
      (records[symbol] ??= []).push(record);
      last = [symbol, at];
      count += 1;
    }
  }
  return { records, next: null };
}

function resume(range: Range, after: number | undefined): readonly [number, number] {
  if (after === undefined) return [range.start, range.end];
  return range.isDescending ? [range.start, after - 1] : [after + 1, range.end];
}

function tokenTime(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 23)}000000Z`;
}

export function barSource(historyOf: (symbol: string) => BarHistory | undefined, timeframe: Timeframe): Source {
  return function* (symbol, start, end, isDescending) {
    const history = historyOf(symbol);
    if (history === undefined) return;
    for (const bar of history.bars(timeframe, start, end, isDescending)) yield [bar.at, wireBar(bar)];
  };
}

const MINUTE: Timeframe = { unit: 'Min', count: 1, letter: 'M' };
const RECORDS_A_MINUTE = 4;

/** Trades or quotes at four instants of every minute that has a bar, from low to high of that bar. */
export function printSource(
  historyOf: (symbol: string) => BarHistory | undefined,
  shape: 'stock-trade' | 'stock-quote' | 'option-trade',
): Source {
  return function* (symbol, start, end, isDescending) {
    const history = historyOf(symbol);
    if (history === undefined) return;
    for (const bar of history.bars(MINUTE, bucketStart(MINUTE, start), end, isDescending)) {
      const prices = [bar.o, bar.h, bar.l, bar.c];
      for (let turn = 0; turn < RECORDS_A_MINUTE; turn += 1) {
        const part = isDescending ? RECORDS_A_MINUTE - 1 - turn : turn;
        const at = bar.at + part * 15_000 + (mix(bar.at / 1000, part) % 15_000);
        if (at >= start && at <= end) yield [at, printOf(shape, prices[part] ?? bar.c, at)];
      }
    }
  };
}

function printOf(shape: 'stock-trade' | 'stock-quote' | 'option-trade', price: number, at: number): WireRecord {
  const t = instantText({ ms: at, ns: mix(at / 1000, 9) % 1_000_000 });
  const size = 1 + (mix(at, 4) % 300);
  if (shape === 'option-trade') return { c: 'I', p: price, s: size, t, x: 'N' };
  if (shape === 'stock-trade')
    return { c: ['@'], i: 1 + (mix(at, 5) % 1_000_000), p: price, s: size, t, x: 'V', z: 'C' };
  const away = Math.round((price + 0.02) * 100) / 100;
  return { ap: away, as: size, ax: 'Q', bp: price, bs: size, bx: 'V', c: ['R'], t, z: 'C' };
}
