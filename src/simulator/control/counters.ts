/** How many connections and requests the venue has seen. Never reset, except on request. */
import type { StreamMeter } from '../doors.js';

export interface ConnectionCount {
  opened: number;
  open: number;
}

export interface CounterReport {
  /** TCP connections to the venue's port, streams included. */
  readonly connections: ConnectionCount;
  /** Authenticated trade streams by account. */
  readonly tradeStreams: Readonly<Record<string, ConnectionCount>>;
  readonly tradeStreamsTotal: ConnectionCount;
  /** Data streams by feed path, e.g. `v2/iex`. */
  readonly dataStreams: Readonly<Record<string, ConnectionCount>>;
  /** By `METHOD /path`, ids replaced by `{id}`. */
  readonly requests: Readonly<Record<string, number>>;
  readonly requestsTotal: number;
  /** Requests answered 429 by the venue's own limiter. */
  readonly rateLimited: number;
}

/** Routes beyond this many are counted together, so that odd paths cannot fill memory. */
const ROUTES_MAX = 1_000;

export class Counters implements StreamMeter {
  readonly #connections: ConnectionCount = { opened: 0, open: 0 };
  readonly #trade = new Map<string, ConnectionCount>();
  readonly #tradeTotal: ConnectionCount = { opened: 0, open: 0 };
  readonly #data = new Map<string, ConnectionCount>();
  readonly #requests = new Map<string, number>();
  #requestsTotal = 0;
  rateLimited = 0;

  connectionOpened(): void {
    add(this.#connections);
  }

  connectionClosed(): void {
    this.#connections.open -= 1;
  }

  request(route: string): void {
    this.#requestsTotal += 1;
    const known = this.#requests.has(route) || this.#requests.size < ROUTES_MAX;
    const key = known ? route : 'other';
    this.#requests.set(key, (this.#requests.get(key) ?? 0) + 1);
  }

  opened(feed: string, accountId: string | undefined): void {
    for (const count of this.#of(feed, accountId)) add(count);
  }

  closed(feed: string, accountId: string | undefined): void {
    for (const count of this.#of(feed, accountId)) count.open -= 1;
  }

  report(): CounterReport {
    return {
      connections: { ...this.#connections },
      tradeStreams: copy(this.#trade),
      tradeStreamsTotal: { ...this.#tradeTotal },
      dataStreams: copy(this.#data),
      requests: Object.fromEntries(this.#requests),
      requestsTotal: this.#requestsTotal,
      rateLimited: this.rateLimited,
    };
  }

  resetRequests(): void {
    this.#requests.clear();
    this.#requestsTotal = 0;
    this.rateLimited = 0;
  }

  #of(feed: string, accountId: string | undefined): readonly ConnectionCount[] {
    if (feed !== 'stream') return [entryOf(this.#data, feed)];
    return [this.#tradeTotal, entryOf(this.#trade, accountId ?? 'unauthenticated')];
  }
}

function add(count: ConnectionCount): void {
  count.opened += 1;
  count.open += 1;
}

function entryOf(map: Map<string, ConnectionCount>, key: string): ConnectionCount {
  const known = map.get(key);
  if (known !== undefined) return known;
  const fresh = { opened: 0, open: 0 };
  map.set(key, fresh);
  return fresh;
}

function copy(map: ReadonlyMap<string, ConnectionCount>): Record<string, ConnectionCount> {
  return Object.fromEntries([...map].map(([key, count]) => [key, { ...count }]));
}
