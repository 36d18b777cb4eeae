/** What a trading route is given: who asks, what for, and the body already read. */
import type { Account } from '../venue/account.js';
import type { Venue } from '../venue/venue.js';
import type { MarketView } from '../market/market.js';

export interface TradingRequest {
  readonly venue: Venue;
  readonly market: MarketView;
  readonly account: Account;
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly body: string;
  /** A lookup-lag switch: a new order shows on lists and lookups only after this. */
  readonly visibleAfterMs: number;
}

/** undefined when the body is not JSON. */
export function readJson(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return undefined;
  }
}

/** A comma list or repeated parameter; undefined when absent or empty. */
export function list(query: URLSearchParams, name: string): readonly string[] | undefined {
  const values = query.getAll(name).flatMap((value) => value.split(','));
  const present = values.map((value) => value.trim()).filter((value) => value !== '');
  return present.length === 0 ? undefined : present;
}
