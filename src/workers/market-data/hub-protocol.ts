/** What workers and the hub say to each other over the mesh: the headers of the channels that market data owns. */
import type { Problem } from '../../kernel/domain/problem.js';
import type { BodyRequest } from './body-loader.js';
import type { LatestKind } from './latest-fetcher.js';
import type { FeedChannel } from './market-data-feed.js';

/** Channel `market-data`, calls. */
export type HubRequest =
  | {
      readonly op: 'latest';
      readonly recordKind: LatestKind;
      readonly feed: string;
      readonly symbols: readonly string[];
      readonly maxAgeMs: number;
    }
  | { readonly op: 'body'; readonly request: BodyRequest; readonly gzip: boolean };

/** Beside a request whose caller records its trace. */
export interface Traced {
  readonly traceparent?: string;
}

export type HubReply =
  /** The rest of the symbols can be read in the shared table now. */
  | {
      readonly op: 'latest';
      readonly unknown: readonly string[];
      readonly malformed: readonly string[];
      readonly failed: readonly string[];
      /** Why the failed ones failed: the first reason of all. */
      readonly problem?: Problem;
    }
  /** The bytes are the message's body, or lie in `file` of the table's directory when they are many. */
  | {
      readonly op: 'body';
      readonly headers: Readonly<Record<string, string>>;
      readonly upstreamMs: number;
      readonly file?: string;
    }
  | { readonly op: 'problem'; readonly problem: Problem }
  /** The hub has moved: ask its new owner. */
  | { readonly op: 'not-hub' };

/** Channel symbols of one worker, by feed channel. */
export type WantedSymbols = Readonly<Partial<Record<FeedChannel, readonly string[]>>>;

/** Pairs: an object of a thousand symbols took 13 ms to make. */
export type SymbolReads = readonly (readonly [symbol: string, count: number])[];

/** Channel `subscriptions`. */
export type SubscriptionRequest =
  /** Call: everything this worker wants, in place of what it wanted before. Answered with SubscriptionReply. */
  | { readonly op: 'want'; readonly wanted: WantedSymbols }
  /** Notify: reads per stock symbol since the last report. */
  | { readonly op: 'usage'; readonly reads: SymbolReads }
  /** Notify from the hub, at least every second: what in the table is kept current by a stream. */
  | HubState;

export interface HubState {
  readonly op: 'state';
  /** New with every hub: a worker that sees a new one announces what it wants. */
  readonly hubId: string;
  /** Rises with every change of `live` and `gap`; both are left out of most beats that change nothing. */
  readonly version: number;
  readonly live?: LiveSymbols;
  /** Subscribed, but their stream is down or not caught up. */
  readonly gap?: LiveSymbols;
}

export type LiveSymbols = Readonly<Partial<Record<FeedChannel, readonly string[]>>>;

export interface SubscriptionReply {
  readonly op: 'wanted';
  readonly hubId: string;
  readonly refused: WantedSymbols;
}
