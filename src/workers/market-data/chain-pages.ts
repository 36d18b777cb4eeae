/** All pages of one option chain: the first one alone tells a small chain; a large one is read in ranges side by side. */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Page } from '../../threads/tasks.js';
import { rangesAfter, rangesFromCounts, type DateRange } from './chain-plan.js';
import type { MarketDataRequest } from './market-data-door.js';
import { peekLastExpiration, peekPageToken } from './page-peek.js';
import type { UpstreamClient } from './upstream-client.js';
import { readPages, type PagesAnswer } from './upstream-pages.js';

type ChainRequest = Extract<MarketDataRequest, { readonly kind: 'option-chain' }>;

/** Contracts per expiration date of chains seen before, by underlying. */
export type ChainShapes = Map<string, Readonly<Record<string, number>>>;

export interface ChainParts {
  readonly upstream: UpstreamClient;
  readonly clock: Clock;
  readonly feed: string;
  readonly timeoutMs: number;
}

/** The broker's largest page of option snapshots (docs/broker-wire.md#market-data-requests). */
const PAGE_MAX = 1_000;
const PAGES_PER_RANGE_MAX = 40;
/** Known to fit in one page with room to spare: asked for as a whole. */
const SMALL_CHAIN = 900;

export async function loadChainPages(
  request: ChainRequest,
  shapes: ChainShapes,
  parts: ChainParts,
): Promise<PagesAnswer> {
  const asked = askedRange(request);
  const end = parts.clock.monotonicMs() + parts.timeoutMs * 2;
  const read = (range: DateRange, pagesMax: number): Promise<PagesAnswer> =>
    readPages(parts.upstream, {
      path: `/v1beta1/options/snapshots/${encodeURIComponent(request.underlying)}`,
      query: rangeQuery(request, range, parts.feed),
      asksOwnFeed: false,
      inPieces: true,
      deadlineMs: () => Math.min(parts.timeoutMs, end - parts.clock.monotonicMs()),
      limit: () => PAGE_MAX,
      pagesMax,
    });

  const counts = countsInside(request, shapes.get(request.underlying) ?? {}, asked);
  const known = Object.values(counts).reduce((sum, count) => sum + count, 0);
  if (known > SMALL_CHAIN)
    return together(rangesFromCounts(asked, counts).map((range) => read(range, PAGES_PER_RANGE_MAX)));

  const first = await read(asked, 1);
  if (first.kind === 'problem') return first;
  const [page] = first.pages;
  if (page === undefined || peekPageToken(page) === undefined) return first;
  const lastDate = peekLastExpiration(page);
  // Without a date to go on from, tokens are the only way.
  if (lastDate === undefined) return read(asked, PAGES_PER_RANGE_MAX);
  // The last date of the page may have been cut in two, so it is read again; a contract read twice is kept once.
  const rest = rangesAfter(asked, lastDate).map((range) => read(range, PAGES_PER_RANGE_MAX));
  return together([Promise.resolve(first), ...rest]);
}

/** A chain with a hole would be a lie: one failed range fails the chain. */
async function together(reading: readonly Promise<PagesAnswer>[]): Promise<PagesAnswer> {
  const answers = await Promise.all(reading);
  const pages: Page[] = [];
  let source = 'rest';
  for (const answer of answers) {
    if (answer.kind === 'problem') return answer;
    pages.push(...answer.pages);
    source = answer.source;
  }
  return { kind: 'ok', pages, source };
}

function askedRange(request: ChainRequest): DateRange {
  const { expirationDate, expirationDateGte, expirationDateLte } = request.query;
  const from = expirationDate ?? expirationDateGte;
  const to = expirationDate ?? expirationDateLte;
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

/** How many contracts to expect per date. A strike filter leaves so few that the first page will tell. */
function countsInside(
  { query }: ChainRequest,
  counts: Readonly<Record<string, number>>,
  { from, to }: DateRange,
): Record<string, number> {
  if (query.strikePriceGte !== undefined || query.strikePriceLte !== undefined) return {};
  const inside = Object.entries(counts).filter(
    ([date]) => (from === undefined || date >= from) && (to === undefined || date <= to),
  );
  const share = query.type === undefined ? 1 : 0.5;
  return Object.fromEntries(inside.map(([date, count]) => [date, count * share]));
}

function rangeQuery(request: ChainRequest, range: DateRange, feed: string): URLSearchParams {
  const query = new URLSearchParams({ feed });
  const optional = {
    type: request.query.type,
    strike_price_gte: request.query.strikePriceGte,
    strike_price_lte: request.query.strikePriceLte,
    expiration_date_gte: range.from,
    expiration_date_lte: range.to,
  };
  for (const [name, value] of Object.entries(optional)) {
    if (value !== undefined) query.set(name, value);
  }
  return query;
}
