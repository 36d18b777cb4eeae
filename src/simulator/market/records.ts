/** What the market publishes, in wire values but without a codec: REST, JSON streams and msgpack streams share these. */
import type { Bar } from './price-walk.js';

/** An instant to the nanosecond: milliseconds since the epoch and the nanoseconds within that millisecond. */
export interface Instant {
  readonly ms: number;
  readonly ns: number;
}

/** A quote of a stock or an option. Price 0 and exchange " " mean that the side is empty. Sizes in shares. */
export interface Quote {
  readonly symbol: string;
  readonly bx: string;
  readonly bp: number;
  readonly bs: number;
  readonly ax: string;
  readonly ap: number;
  readonly as: number;
  readonly at: Instant;
}

export interface Trade {
  readonly symbol: string;
  readonly x: string;
  readonly p: number;
  readonly s: number;
  /** Stocks only: below 2^53, sent as a 64-bit integer. */
  readonly i: number;
  readonly at: Instant;
}

export type BarChannel = 'bars' | 'updatedBars' | 'dailyBars';
export type EventChannel = 'statuses' | 'lulds' | 'imbalances' | 'corrections' | 'cancelErrors';

/** One published record. `isOption` decides the stream and the shape (condition as text, no id, no tape). */
export type Update =
  | { readonly kind: 'quote'; readonly isOption: boolean; readonly symbol: string; readonly quote: Quote }
  | { readonly kind: 'trade'; readonly isOption: boolean; readonly symbol: string; readonly trade: Trade }
  | { readonly kind: 'bar'; readonly channel: BarChannel; readonly symbol: string; readonly bar: Bar }
  | {
      readonly kind: 'event';
      readonly channel: EventChannel;
      readonly symbol: string;
      /** Wire keys and values without `T`, `S` and `t`. */
      readonly fields: Readonly<Record<string, string | number | readonly string[]>>;
      readonly at: Instant;
    };

/** RFC 3339 with nanoseconds; the fraction is left out when it is zero, and trailing zeros as well, as Go prints it. */
export function instantText({ ms, ns }: Instant): string {
  const fraction = String((ms % 1000) * 1_000_000 + ns)
    .padStart(9, '0')
    .replace(/0+$/, '');
  const seconds = secondText(ms);
  return fraction === '' ? `${seconds}Z` : `${seconds}.${fraction}Z`;
}

/** Records share their seconds, so the texts of some are kept; all go when there are too many. */
const SECONDS_KEPT = 4_096;
const secondTexts = new Map<number, string>();

function secondText(ms: number): string {
  const second = Math.floor(ms / 1000);
  const kept = secondTexts.get(second);
  if (kept !== undefined) return kept;
  const text = new Date(second * 1000).toISOString().slice(0, 19);
  if (secondTexts.size >= SECONDS_KEPT) secondTexts.clear();
  secondTexts.set(second, text);
  return text;
}
