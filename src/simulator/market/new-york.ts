/**
 * The exchange's wall clock, from the rule of the law (second Sunday of March to first Sunday of November) and not
 * from a time zone database: bars of a day, a week or a month begin at midnight in New York. Knows no holidays.
 */
export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;

/** The regular session in minutes after midnight, New York: 9:30 up to, but not including, 16:00. */
export const SESSION_OPEN_MINUTE = 570;
export const SESSION_CLOSE_MINUTE = 960;

/** Summer time of one year: from, until; and the UTC year that it holds for. */
interface Year {
  readonly start: number;
  readonly end: number;
  readonly summerFrom: number;
  readonly summerUntil: number;
}

let lastYear: Year = { start: 0, end: 0, summerFrom: 0, summerUntil: 0 };

/** Milliseconds to add to UTC for New York's wall time. Neighbouring questions are of one year, so one is kept. */
export function offsetAt(utcMs: number): number {
  if (utcMs < lastYear.start || utcMs >= lastYear.end) {
    const year = new Date(utcMs).getUTCFullYear();
    lastYear = {
      start: Date.UTC(year, 0, 1),
      end: Date.UTC(year + 1, 0, 1),
      // 2:00 local: 7:00 UTC before summer time, 6:00 UTC before it ends.
      summerFrom: sunday(year, 2, 8) + 7 * HOUR_MS,
      summerUntil: sunday(year, 10, 1) + 6 * HOUR_MS,
    };
  }
  return utcMs >= lastYear.summerFrom && utcMs < lastYear.summerUntil ? -4 * HOUR_MS : -5 * HOUR_MS;
}

/** First Sunday on or after a day of a month, as UTC midnight. */
function sunday(year: number, month: number, day: number): number {
  const from = Date.UTC(year, month, day);
  return from + ((7 - new Date(from).getUTCDay()) % 7) * DAY_MS;
}

/** The day number (days since 1970-01-01 on New York's calendar) that an instant belongs to. */
export function dayOf(utcMs: number): number {
  return Math.floor((utcMs + offsetAt(utcMs)) / DAY_MS);
}

/** Midnight in New York of a day number, as UTC milliseconds. Clocks turn at 2:00, so the midnight before decides. */
export function midnightOf(day: number): number {
  const winter = day * DAY_MS + 5 * HOUR_MS;
  return offsetAt(winter - HOUR_MS) === -4 * HOUR_MS ? winter - HOUR_MS : winter;
}

/** Opening instant of a day's session. The offset at noon holds: clocks turn long before the bell. */
export function openOf(day: number): number {
  const noon = day * DAY_MS + 17 * HOUR_MS;
  return day * DAY_MS - offsetAt(noon) + SESSION_OPEN_MINUTE * MINUTE_MS;
}

/** Monday to Friday. Day 0 was a Thursday. */
export function isTradingDay(day: number): boolean {
  const weekday = (day + 4) % 7;
  return weekday >= 1 && weekday <= 5;
}

/** `YYYY-MM-DD` of a day number. */
export function dateText(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
