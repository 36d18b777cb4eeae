/** Switches of the data side, as plain values: the control door assigns them, routes and streams look at them. */
import type { Plan } from './rest/query.js';

/** Keys that are refused; whoever holds a session of such a key hears of it at once. */
export class RefusedKeys extends Set<string> {
  #listen: ((key: string) => void) | undefined;

  /** One listener: the streams. */
  onRefuse(listen: (key: string) => void): void {
    this.#listen = listen;
  }

  override add(key: string): this {
    super.add(key);
    this.#listen?.(key);
    return this;
  }
}

export interface MarketFaults {
  /** What the subscription permits: feeds, symbols on a stream, quotes of options. Default basic. */
  plan: Plan;
  /** How a wrong key is answered on REST. */
  unauthorizedStyle: 'html-401' | 'json-403';
  /** Key ids that are refused although they are right: 402 on streams, in mid-session too; unauthorised on REST. */
  readonly refusedKeys: RefusedKeys;
  /** Feeds (`v2/iex`) that send no data and answer no ping. */
  readonly mutedFeeds: Set<string>;
  /** Every authentication on a stream is answered 406 until this moment of the simulator's clock. */
  connectionLimitUntil: number;
  /** Stream records are sent this much later; 0 sends at once. */
  tickDelayMs: number;
  /** Streams allowed per feed and key. */
  connectionsPerFeed: number;
  /** Trades and quotes on a stock stream of the basic plan; quotes on an option stream by plan. */
  stockSymbolsMax: number;
  optionQuotesMax: Record<Plan, number>;
  /** A client with more bytes than this waiting is told 407 and cut. */
  slowClientBytes: number;
  /** How long a stream may stay unauthenticated before 404. */
  authTimeoutMs: number;
}

/** Nothing wrong, limits as published. */
export function createMarketFaults(settings: Partial<MarketFaults> = {}): MarketFaults {
  return {
    plan: 'basic',
    unauthorizedStyle: 'html-401',
    refusedKeys: new RefusedKeys(),
    mutedFeeds: new Set(),
    connectionLimitUntil: 0,
    tickDelayMs: 0,
    connectionsPerFeed: 1,
    stockSymbolsMax: 30,
    optionQuotesMax: { basic: 200, plus: 1_000 },
    slowClientBytes: 16 * 1_048_576,
    authTimeoutMs: 10_000,
    ...settings,
  };
}
