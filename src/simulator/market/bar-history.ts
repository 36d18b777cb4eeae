/**
 * Historic bars of one walk. Every time frame is the aggregation of the same one-minute bars of the regular session,
 * from the first session of 2016 to the last complete minute; nothing is invented for a coarser frame.
 */
import { dayOf, isTradingDay, midnightOf, MINUTE_MS, openOf } from './new-york.js';
import type { Bar, PriceWalk } from './price-walk.js';
import { bucketAfter, bucketBefore, bucketStart, type Timeframe } from './timeframes.js';

const FIRST_INSTANT = Date.UTC(2016, 0, 4, 5);
const SESSION_MINUTES = 390;
/** Complete days kept per walk; the oldest goes when it is full. */
const DAYS_KEPT = 3_000;

/** Bars gathered into one. `bars` must be in order of time. */
export function aggregate(start: number, bars: Iterable<Bar>): Bar | undefined {
  let sum: { o: number; h: number; l: number; c: number; v: number; n: number; pv: number } | undefined;
  for (const bar of bars) {
    if (sum === undefined) sum = { o: bar.o, h: bar.h, l: bar.l, c: bar.c, v: 0, n: 0, pv: 0 };
    sum.h = Math.max(sum.h, bar.h);
    sum.l = Math.min(sum.l, bar.l);
    sum.c = bar.c;
    sum.v += bar.v;
    sum.n += bar.n;
    sum.pv += bar.pv;
  }
  return sum === undefined ? undefined : { at: start, ...sum };
}

export class BarHistory {
  readonly #days = new Map<number, Bar>();
  /** The newest day as far as it has gone, so that a minute later only one minute is added. */
  #today: { readonly day: number; readonly next: number; readonly bar: Bar | undefined } | undefined;

  constructor(
    private readonly walk: PriceWalk,
    private readonly now: () => number,
    /** Options trade seldom: one minute in so many has a bar. */
    private readonly everyMinutes = 1,
  ) {}

  /** Bars whose start lies in [start, end], oldest first or newest first, computed as they are asked for. */
  *bars(timeframe: Timeframe, start: number, end: number, isDescending = false): Generator<Bar> {
    const last = Math.min(end, this.now());
    const first = Math.max(start, FIRST_INSTANT);
    if (first > last) return;
    let at = bucketStart(timeframe, isDescending ? last : first);
    while (isDescending ? at >= first : at <= last) {
      const bar = at >= first ? this.#bar(timeframe, at) : undefined;
      if (bar !== undefined) yield bar;
      at = isDescending ? bucketBefore(timeframe, at) : bucketAfter(timeframe, at);
    }
  }

  /** The newest complete one-minute bar. */
  latestMinute(): Bar | undefined {
    for (let day = dayOf(this.now()), tried = 0; tried < 10; tried += 1, day -= 1) {
      const bars = this.#minutes(openOf(day), openOf(day) + SESSION_MINUTES * MINUTE_MS, true);
      for (const bar of bars) return bar;
    }
    return undefined;
  }

  /** The newest daily bar, which may still be growing, and the one before. */
  latestDays(): readonly Bar[] {
    const found: Bar[] = [];
    for (let day = dayOf(this.now()), tried = 0; tried < 10 && found.length < 2; tried += 1, day -= 1) {
      const bar = this.#dailyBar(day);
      if (bar !== undefined) found.push({ ...bar, at: midnightOf(day) });
    }
    return found;
  }

  #bar(timeframe: Timeframe, start: number): Bar | undefined {
    if (timeframe.unit === 'Min' || timeframe.unit === 'Hour') {
      return aggregate(start, this.#minutes(start, bucketAfter(timeframe, start)));
    }
    return aggregate(start, this.#dailyBars(dayOf(start), dayOf(bucketAfter(timeframe, start))));
  }

  *#minutes(from: number, until: number, isDescending = false): Generator<Bar> {
    const day = dayOf(from);
    if (!isTradingDay(day)) return;
    const open = openOf(day);
    const step = this.everyMinutes * MINUTE_MS;
    const end = Math.min(until, open + SESSION_MINUTES * MINUTE_MS, this.now() - MINUTE_MS + 1);
    const first = open + Math.ceil((Math.max(from, open) - open) / step) * step;
    const count = Math.ceil((end - first) / step);
    for (let done = 0; done < count; done += 1) {
      yield this.walk.minuteBar(first + (isDescending ? count - 1 - done : done) * step);
    }
  }

  *#dailyBars(from: number, until: number): Generator<Bar> {
    for (let day = from; day < until; day += 1) {
      const bar = this.#dailyBar(day);
      if (bar !== undefined) yield bar;
    }
  }

  #dailyBar(day: number): Bar | undefined {
    const kept = this.#days.get(day);
    if (kept !== undefined) return kept;
    const open = openOf(day);
    const close = open + SESSION_MINUTES * MINUTE_MS;
    const sofar = this.#today?.day === day ? this.#today : { day, next: open, bar: undefined };
    const added = [...this.#minutes(sofar.next, close)];
    const bar = aggregate(open, sofar.bar === undefined ? added : [sofar.bar, ...added]);
    if (bar === undefined) return undefined;
    if (this.now() >= close) this.#keep(day, bar);
    else this.#today = { day, next: sofar.next + added.length * this.everyMinutes * MINUTE_MS, bar };
    return bar;
  }

  #keep(day: number, bar: Bar): void {
    const oldest = this.#days.size >= DAYS_KEPT ? this.#days.keys().next().value : undefined;
    if (oldest !== undefined) this.#days.delete(oldest);
    this.#days.set(day, bar);
  }
}
