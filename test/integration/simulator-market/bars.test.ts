import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { MONDAY, openDataVenue, type DataVenue } from '../../support/data-venue.js';

let venue: DataVenue;
beforeAll(async () => {
  venue = await openDataVenue({ symbols: ['AAPL', 'MSFT', 'SPY'] });
});
afterAll(() => venue.close());

const FRIDAY = '2026-01-02';

const total = (bars: readonly any[], key: string): number => {
  let sum = 0;
  for (const bar of bars) sum += Number(bar[key]);
  return sum;
};

/** Written on purpose without the simulator's own aggregation. */
function gathered(minutes: any[], sizeMs: number): any[] {
  const groups = new Map<number, any[]>();
  for (const bar of minutes) {
    const start = Math.floor(Date.parse(bar.t) / sizeMs) * sizeMs;
    groups.set(start, [...(groups.get(start) ?? []), bar]);
  }
  return [...groups].map(([start, bars]) => ({
    t: new Date(start).toISOString().replace('.000', ''),
    o: bars[0].o,
    c: bars.at(-1).c,
    h: Math.max(...bars.map((bar) => bar.h)),
    l: Math.min(...bars.map((bar) => bar.l)),
    v: total(bars, 'v'),
    n: total(bars, 'n'),
  }));
}

async function bars(timeframe: string, query = `start=${FRIDAY}&end=2026-01-03&limit=10000`): Promise<any[]> {
  const { status, body } = await venue.get(`/v2/stocks/AAPL/bars?timeframe=${timeframe}&${query}`);
  expect(status).toBe(200);
  return body.bars;
}

test.each([
  ['5Min', 5],
  ['15T', 15],
  ['1Hour', 60],
  ['2H', 60 * 2],
])('a %s bar is the true aggregation of its one-minute bars', async (timeframe, minutes) => {
  const fine = await bars('1Min');
  // Two-hour buckets count from midnight in New York, which is 05:00 UTC: shift before grouping.
  const shift = 5 * 3_600_000;
  const shifted = fine.map((bar) => ({ ...bar, t: new Date(Date.parse(bar.t) - shift).toISOString() }));
  const expected = gathered(shifted, minutes * 60_000).map((bar) => ({
    ...bar,
    t: new Date(Date.parse(bar.t) + shift).toISOString().replace('.000', ''),
  }));

  const coarse = await bars(timeframe);

  expect(fine).toHaveLength(390);
  expect(coarse).toEqual(expected.map((bar) => expect.objectContaining(bar)));
});

test('a daily bar begins at midnight in New York and sums its session', async () => {
  const fine = await bars('1Min');

  const [day, ...more] = await bars('1Day', `start=${FRIDAY}&end=${FRIDAY}`);

  expect(more).toEqual([]);
  expect(day).toMatchObject({ t: '2026-01-02T05:00:00Z', o: fine[0].o, c: fine.at(-1).c });
  expect(day.v).toBe(total(fine, 'v'));
  expect(day.h).toBe(Math.max(...fine.map((bar) => bar.h)));
  const exact =
    total(
      fine.map((bar) => ({ pv: Number(bar.vw) * Number(bar.v) })),
      'pv',
    ) / Number(day.v);
  expect(day.vw).toBeCloseTo(exact, 4);
});

test('weeks and months sum the days that they contain, summer time included', async () => {
  const year = 'start=2025-01-01&end=2025-12-31&limit=10000';
  const days = await bars('1Day', year);
  const months = await bars('3Month', year);
  const weeks = await bars('1Week', year);

  expect(months.map((bar) => bar.t.slice(0, 10))).toEqual(['2025-01-01', '2025-04-01', '2025-07-01', '2025-10-01']);
  expect(months.map((bar) => bar.t.slice(11, 13))).toEqual(['05', '04', '04', '04']);
  expect(total(months, 'v')).toBe(total(days, 'v'));
  expect(new Set(weeks.map((bar) => new Date(bar.t).getUTCDay()))).toEqual(new Set([1]));
});

test('start and end are both inclusive and a bar that has not ended is not shown', async () => {
  const range = 'start=2026-01-02T15:00:00Z&end=2026-01-02T15:04:00Z';
  expect((await bars('1Min', range)).map((bar) => bar.t.slice(11, 16))).toEqual([
    '15:00',
    '15:01',
    '15:02',
    '15:03',
    '15:04',
  ]);

  const today = await bars('1Min', 'start=2026-01-05&limit=10000');
  expect(today.at(-1).t).toBe(new Date(MONDAY - 60_000).toISOString().replace('.000', ''));
  expect(today).toHaveLength(90);
});

test('pages put together are the whole, sorted by symbol and then by time, and the limit counts every symbol', async () => {
  const query = `symbols=SPY,AAPL,NOPE,MSFT&timeframe=1Hour&start=2025-12-29&end=${FRIDAY}T23:00:00Z`;
  const whole = (await venue.get(`/v2/stocks/bars?${query}&limit=10000`)).body;
  const collected: Record<string, any[]> = {};
  const order: string[] = [];
  let token: string | null = '';
  let pages = 0;
  while (token !== null) {
    const page: any = (await venue.get(`/v2/stocks/bars?${query}&limit=7&page_token=${encodeURIComponent(token)}`))
      .body;
    const count = Object.values<any>(page.bars).flat().length;
    expect(count).toBeLessThanOrEqual(7);
    for (const [symbol, list] of Object.entries<any[]>(page.bars)) {
      order.push(symbol);
      (collected[symbol] ??= []).push(...list);
    }
    token = page.next_page_token;
    pages += 1;
  }

  expect(collected).toEqual(whole.bars);
  expect(Object.keys(whole.bars)).toEqual(['AAPL', 'MSFT', 'SPY']);
  expect(order).toEqual([...order].sort());
  expect(pages).toBeGreaterThan(5);
});

test('descending is the mirror of ascending, page after page', async () => {
  const ascending = await bars('15Min');
  const descending: any[] = [];
  let token: string | null = '';
  while (token !== null) {
    const query = `timeframe=15Min&start=${FRIDAY}&end=2026-01-03&sort=desc&limit=11`;
    const page: any = (await venue.get(`/v2/stocks/AAPL/bars?${query}&page_token=${encodeURIComponent(token)}`)).body;
    descending.push(...page.bars);
    token = page.next_page_token;
  }
  expect(descending).toEqual([...ascending].reverse());
});

test('the same seed gives the same history and another seed another', async () => {
  const same = await openDataVenue({ symbols: ['AAPL'] });
  const other = await openDataVenue({ symbols: ['AAPL'], seed: 8 });
  const path = `/v2/stocks/AAPL/bars?timeframe=1Hour&start=${FRIDAY}&end=2026-01-03`;
  try {
    expect((await same.get(path)).text).toBe((await venue.get(path)).text);
    expect((await other.get(path)).text).not.toBe((await venue.get(path)).text);
  } finally {
    await same.close();
    await other.close();
  }
});

test.each(['0Min', '60Min', '24Hour', '2Day', '2Week', '5Month', '1min', 'Day', '1Min1', ''])(
  'the time frame "%s" is refused',
  async (timeframe) => {
    const { status, body } = await venue.get(`/v2/stocks/AAPL/bars?timeframe=${timeframe}`);
    expect(status).toBe(400);
    expect(body.message).toMatch(/timeframe/);
  },
);
