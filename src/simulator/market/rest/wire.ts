/** Records as the REST host writes them: keys in alphabetical order, numbers as numbers. */
import type { OptionBook } from '../option-chain.js';
import type { Bar } from '../price-walk.js';
import { instantText, type Quote, type Trade } from '../records.js';

export type WireRecord = Readonly<Record<string, unknown>>;

/** The volume-weighted price, to six decimals. */
export function averageOf(bar: Bar): number {
  return Math.round((bar.pv / bar.v) * 1e6) / 1e6;
}

export function wireBar(bar: Bar): WireRecord {
  const t = instantText({ ms: bar.at, ns: 0 });
  return { c: bar.c, h: bar.h, l: bar.l, n: bar.n, o: bar.o, t, v: bar.v, vw: averageOf(bar) };
}

export function wireQuote(quote: Quote): WireRecord {
  const { ap, as, ax, bp, bs, bx } = quote;
  return { ap, as, ax, bp, bs, bx, c: ['R'], t: instantText(quote.at), z: 'C' };
}

export function wireTrade({ i, p, s, at, x }: Trade): WireRecord {
  return { c: ['@'], i, p, s, t: instantText(at), x, z: 'C' };
}

export function wireOptionQuote(quote: Quote): WireRecord {
  const { ap, as, ax, bp, bs, bx } = quote;
  return { ap, as, ax, bp, bs, bx, c: bp === 0 ? ' ' : 'A', t: instantText(quote.at) };
}

export function wireOptionTrade({ p, s, at, x }: Trade): WireRecord {
  return { c: 'I', p, s, t: instantText(at), x };
}

/** What of a snapshot follows the price. What a contract lacks is left out: undefined vanishes when serialised. */
export function wireOptionValues(book: OptionBook): WireRecord {
  return {
    greeks: book.greeks,
    impliedVolatility: book.impliedVolatility,
    latestQuote: wireOptionQuote(book.quote),
    latestTrade: book.trade && wireOptionTrade(book.trade),
  };
}

/** What of a snapshot follows the time. */
export function wireOptionBars(minute: Bar | undefined, days: readonly Bar[]): WireRecord {
  return {
    dailyBar: days[0] && wireBar(days[0]),
    minuteBar: minute && wireBar(minute),
    prevDailyBar: days[1] && wireBar(days[1]),
  };
}
