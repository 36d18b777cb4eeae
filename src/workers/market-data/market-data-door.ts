/**
 * Market data as the edges see it. Answers are finished response bytes in the gateway's own spelling
 * (docs/api.md#market-data), made wherever it is cheapest: from the shared table in this worker, in a thread, or at the
 * worker that owns the master.
 */
import type { CallContext } from '../../kernel/domain/account-request.js';
import type { Problem } from '../../kernel/domain/problem.js';

export type MarketDataRequest =
  | { readonly kind: 'stock-quote'; readonly symbol: string; readonly feed?: string }
  | { readonly kind: 'stock-quotes'; readonly symbols: readonly string[]; readonly feed?: string }
  | { readonly kind: 'stock-bars'; readonly symbol: string; readonly query: BarsQuery }
  | { readonly kind: 'latest-trade'; readonly symbol: string; readonly feed?: string }
  | { readonly kind: 'stock-snapshots'; readonly symbols: readonly string[]; readonly feed?: string }
  | { readonly kind: 'option-chain'; readonly underlying: string; readonly query: ChainQuery }
  | { readonly kind: 'option-quote'; readonly symbol: string }
  | { readonly kind: 'option-quotes'; readonly symbols: readonly string[] }
  | { readonly kind: 'option-bars'; readonly symbols: readonly string[]; readonly query: BarsQuery }
  /** Alpaca's own JSON, cached: `path` and `query` as the broker spells them. */
  | {
      readonly kind: 'reference';
      readonly resource: 'assets' | 'asset' | 'clock' | 'calendar' | 'option-contracts';
      readonly symbol?: string;
      readonly query: string;
    };

export interface BarsQuery {
  readonly timeframe: string;
  readonly start?: string;
  readonly end?: string;
  readonly limit?: number;
  readonly adjustment?: string;
  readonly feed?: string;
  readonly sort?: 'asc' | 'desc';
  readonly pageToken?: string;
}

export interface ChainQuery {
  readonly expirationDate?: string;
  readonly expirationDateGte?: string;
  readonly expirationDateLte?: string;
  readonly type?: 'call' | 'put';
  readonly strikePriceGte?: string;
  readonly strikePriceLte?: string;
  readonly grouped: boolean;
  /** The client accepts gzip: a large answer may come back compressed with `content-encoding` set. */
  readonly gzip: boolean;
}

export type MarketDataAnswer =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** `content-type`, and `cache-control`, `age`, `etag`, `content-encoding` where they help. */
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Uint8Array;
      readonly upstreamMs?: number;
      readonly meshMs?: number;
      /** Called when the kernel has all of `body`, if it ever has: its memory is used again then. */
      readonly sent?: () => void;
    }
  | { readonly kind: 'problem'; readonly problem: Problem };

export interface MarketDataDoor {
  /** Synchronous when the shared table has it fresh: no promise on the hot path. */
  quoteNow(symbol: string): MarketDataAnswer | undefined;
  execute(request: MarketDataRequest, context: CallContext, signal?: AbortSignal): Promise<MarketDataAnswer>;
}
