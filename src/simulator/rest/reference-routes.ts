/** Assets, option contracts, clock and calendar: the same answers for every account (sections 3.7, 3.8 and 3.11). */
import { dateText, dayOf, isTradingDay, offsetAt, openOf } from '../market/new-york.js';
import type { ContractFilter } from '../market/contracts.js';
import { assetOfPair, findPair } from '../market/pairs.js';
import { malformed, notFound } from '../venue/refusal.js';
import { json, refused, type Answer } from './answer.js';
import { list, type TradingRequest } from './request.js';

export function listAssets({ market, query }: TradingRequest): Answer {
  const status = query.get('status');
  const assetClass = query.get('asset_class') ?? 'us_equity';
  const exchange = query.get('exchange');
  const attributes = list(query, 'attributes');
  const found = market
    .assets()
    .filter(
      (asset) =>
        (status === null || status === 'all' || asset.status === status) &&
        asset.class === assetClass &&
        (exchange === null || asset.exchange === exchange) &&
        (attributes === undefined || attributes.some((wanted) => asset.attributes.includes(wanted))),
    );
  return json(found);
}

export function getAsset({ market }: TradingRequest, symbolOrId: string): Answer {
  const pair = findPair(symbolOrId);
  if (pair !== undefined) return json(assetOfPair(pair));
  const asset = market.asset(symbolOrId);
  return asset === undefined ? refused(notFound(`asset not found for ${symbolOrId}`)) : json(asset);
}

export function getContract({ market }: TradingRequest, symbolOrId: string): Answer {
  const contract = market.contract(symbolOrId);
  return contract === undefined ? refused(notFound(`option contract ${symbolOrId} not found`)) : json(contract);
}

export function listContracts(request: TradingRequest): Answer {
  const { market, query, venue } = request;
  const limit = Number(query.get('limit') ?? '100');
  if (!Number.isInteger(limit) || limit < 1 || limit > 10_000)
    return refused(malformed('limit must be between 1 and 10000'));
  const from = pageStart(query.get('page_token'));
  if (from === undefined) return refused(malformed('invalid page_token'));
  const filter = contractFilter(query, venue.clock.now());
  if (filter === undefined) return refused(malformed('invalid option contract filter'));
  if (query.get('status') === 'inactive') return json({ option_contracts: [], next_page_token: null });
  const style = query.get('style');
  const all = market.contracts(filter).filter((contract) => style === null || contract.style === style);
  const next = from + limit;
  return json({
    option_contracts: all.slice(from, next),
    next_page_token: next < all.length ? Buffer.from(String(next)).toString('base64') : null,
  });
}

function pageStart(token: string | null): number | undefined {
  if (token === null || token === '') return 0;
  const start = Number(Buffer.from(token, 'base64').toString());
  return Number.isInteger(start) && start >= 0 ? start : undefined;
}

/** Without any date only contracts up to the coming weekend are meant. */
function contractFilter(query: URLSearchParams, nowMs: number): ContractFilter | undefined {
  const exact = query.get('expiration_date');
  const from = exact ?? query.get('expiration_date_gte');
  const to = exact ?? query.get('expiration_date_lte') ?? (from === null ? comingSunday(nowMs) : null);
  const type = query.get('type');
  const strikes = ['strike_price_gte', 'strike_price_lte'].map((name) => query.get(name));
  const [strikeFrom, strikeTo] = strikes.map((text) => (text === null ? undefined : Number(text)));
  const underlyings = list(query, 'underlying_symbols');
  const root = query.get('root_symbol');
  if (type !== null && type !== 'call' && type !== 'put') return undefined;
  if ([strikeFrom, strikeTo].some((strike) => strike !== undefined && Number.isNaN(strike))) return undefined;
  if ([from, to].some((date) => date !== null && !/^\d{4}-\d\d-\d\d$/.test(date))) return undefined;
  return {
    ...(underlyings === undefined ? {} : { underlyings }),
    ...(type === null ? {} : { type }),
    ...(root === null ? {} : { root }),
    ...(from === null ? {} : { expirationFrom: from }),
    ...(to === null ? {} : { expirationTo: to }),
    ...(strikeFrom === undefined ? {} : { strikeFrom }),
    ...(strikeTo === undefined ? {} : { strikeTo }),
  };
}

function comingSunday(nowMs: number): string {
  const weekday = new Date(nowMs).getUTCDay();
  return new Date(nowMs + (7 - weekday) * 86_400_000).toISOString().slice(0, 10);
}

/** The session is open unless a switch closed it; the times are those of the next sessions in New York. */
export function getClock({ venue }: TradingRequest): Answer {
  const now = venue.clock.now();
  const today = dayOf(now);
  const isBeforeClose = isTradingDay(today) && now < openOf(today) + SESSION_MS;
  const isBeforeOpen = isTradingDay(today) && now < openOf(today);
  const closing = isBeforeClose ? today : nextTradingDay(today + 1);
  const opening = isBeforeOpen ? today : nextTradingDay(today + 1);
  return json({
    timestamp: newYorkText(now),
    is_open: venue.behaviour.isOpen,
    next_open: newYorkText(openOf(opening)),
    next_close: newYorkText(openOf(closing) + SESSION_MS),
  });
}

const SESSION_MS = 390 * 60_000;

export function getCalendar({ query, venue }: TradingRequest): Answer {
  const start = query.get('start') ?? dateText(dayOf(venue.clock.now()));
  const end = query.get('end') ?? dateText(dayOf(venue.clock.now()) + 30);
  const [first, last] = [Date.parse(start.slice(0, 10)), Date.parse(end.slice(0, 10))].map((ms) => ms / 86_400_000);
  if (first === undefined || last === undefined || Number.isNaN(first) || Number.isNaN(last)) {
    return refused(malformed('invalid start or end'));
  }
  const rows: unknown[] = [];
  // Sixty years of days is what the broker has; a wider range is cut, not refused.
  for (let day = first; day <= last && rows.length < 15_200; day += 1) {
    if (!isTradingDay(day)) continue;
    rows.push({
      date: dateText(day),
      open: '09:30',
      close: '16:00',
      session_open: '0400',
      session_close: '2000',
      settlement_date: dateText(nextTradingDay(day + 1)),
    });
  }
  return json(rows);
}

function nextTradingDay(from: number): number {
  let day = from;
  while (!isTradingDay(day)) day += 1;
  return day;
}

/** RFC 3339 with New York's offset at that instant. */
function newYorkText(utcMs: number): string {
  const offsetMs = offsetAt(utcMs);
  const hours = Math.round(Math.abs(offsetMs) / 3_600_000);
  return `${new Date(utcMs + offsetMs).toISOString().slice(0, 19)}-${String(hours).padStart(2, '0')}:00`;
}
