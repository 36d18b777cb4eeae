/** Time frames of historic bars: their grammar, and the buckets into which the one-minute bars are gathered. */
import { dayOf, HOUR_MS, midnightOf, MINUTE_MS } from './new-york.js';

export interface Timeframe {
  readonly unit: 'Min' | 'Hour' | 'Day' | 'Week' | 'Month';
  readonly count: number;
  /** Letter used inside page tokens. */
  readonly letter: string;
}

const UNITS: Readonly<Record<string, Timeframe['unit']>> = {
  Min: 'Min',
  T: 'Min',
  Hour: 'Hour',
  H: 'Hour',
  Day: 'Day',
  D: 'Day',
  Week: 'Week',
  W: 'Week',
  Month: 'Month',
  M: 'Month',
};
const MONTHS = new Set([1, 2, 3, 4, 6, 12]);
const LETTERS = { Min: 'M', Hour: 'H', Day: 'D', Week: 'W', Month: 'MM' } as const;

/** undefined for anything but [1-59]Min|T, [1-23]Hour|H, 1Day|D, 1Week|W, [1,2,3,4,6,12]Month|M. */
export function parseTimeframe(text: string): Timeframe | undefined {
  const match = /^([1-9]\d?)([A-Z][a-z]*)$/.exec(text);
  const unit = UNITS[match?.[2] ?? ''];
  const count = Number(match?.[1]);
  if (unit === undefined) return undefined;
  const isAllowed =
    (unit === 'Min' && count <= 59) ||
    (unit === 'Hour' && count <= 23) ||
    ((unit === 'Day' || unit === 'Week') && count === 1) ||
    (unit === 'Month' && MONTHS.has(count));
  return isAllowed ? { unit, count, letter: LETTERS[unit] } : undefined;
}

/** Start of the bucket that an instant falls into, UTC milliseconds. Minutes and hours count from midnight, New York. */
export function bucketStart({ unit, count }: Timeframe, at: number): number {
  const day = dayOf(at);
  if (unit === 'Day') return midnightOf(day);
  if (unit === 'Week') return midnightOf(day - ((day + 3) % 7));
  if (unit === 'Month') return monthStart(day, count);
  const midnight = midnightOf(day);
  const size = count * (unit === 'Min' ? MINUTE_MS : HOUR_MS);
  return midnight + Math.floor((at - midnight) / size) * size;
}

/** Start of the next bucket. */
export function bucketAfter(timeframe: Timeframe, start: number): number {
  const { unit, count } = timeframe;
  const day = dayOf(start);
  if (unit === 'Day') return midnightOf(day + 1);
  if (unit === 'Week') return midnightOf(day + 7);
  if (unit === 'Month') return monthStart(day + 31 * count, count);
  const size = count * (unit === 'Min' ? MINUTE_MS : HOUR_MS);
  // The last bucket of a day is cut at midnight when the size does not divide the day.
  return Math.min(start + size, midnightOf(day + 1));
}

/** Start of the bucket before. */
export function bucketBefore(timeframe: Timeframe, start: number): number {
  return bucketStart(timeframe, start - 1);
}

function monthStart(day: number, count: number): number {
  const date = new Date(day * 24 * HOUR_MS);
  const month = Math.floor(date.getUTCMonth() / count) * count;
  return midnightOf(Date.UTC(date.getUTCFullYear(), month, 1) / (24 * HOUR_MS));
}
