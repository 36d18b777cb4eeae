/**
 * How a chain is asked for in parallel. Page tokens only go one after another, so a chain larger than a page is cut by
 * expiration date. The ranges always cover everything asked for, without a hole, whatever is believed of the chain: a
 * wrong belief costs a call, never a contract.
 */

/** Both ends included; undefined is open. YYYY-MM-DD. */
export interface DateRange {
  readonly from?: string;
  readonly to?: string;
}

/** Leaves room under the page of 1,000 for contracts listed since the count was taken. */
const CONTRACTS_PER_RANGE = 900;
/** Days from the start of the rest; weeklies crowd the near months. */
const FIRST_CUTS_DAYS = [14, 45, 120, 300] as const;
const DAY_MS = 86_400_000;

/** Ranges of about a page each, from the contracts per expiration of the last fetch. */
export function rangesFromCounts(asked: DateRange, counts: Readonly<Record<string, number>>): readonly DateRange[] {
  const dates = Object.keys(counts).sort();
  const starts: string[] = [];
  let filled = 0;
  for (const date of dates) {
    const count = counts[date] ?? 0;
    if (filled > 0 && filled + count > CONTRACTS_PER_RANGE) {
      starts.push(date);
      filled = 0;
    }
    filled += count;
  }
  return cut(asked, starts);
}

/** Ranges for a chain seen for the first time, given the last expiration of its first page. */
export function rangesAfter(asked: DateRange, lastDate: string): readonly DateRange[] {
  const starts = FIRST_CUTS_DAYS.map((days) => dayAfter(lastDate, days));
  return cut({ ...asked, from: lastDate }, starts);
}

function cut(asked: DateRange, starts: readonly string[]): readonly DateRange[] {
  const inside = starts.filter(
    (start) => (asked.from === undefined || start > asked.from) && (asked.to === undefined || start <= asked.to),
  );
  const ranges: DateRange[] = [];
  let from = asked.from;
  for (const start of inside) {
    ranges.push({ ...(from !== undefined && { from }), to: dayAfter(start, -1) });
    from = start;
  }
  ranges.push({ ...(from !== undefined && { from }), ...(asked.to !== undefined && { to: asked.to }) });
  return ranges;
}

function dayAfter(date: string, days: number): string {
  return new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY_MS).toISOString().slice(0, 10);
}
