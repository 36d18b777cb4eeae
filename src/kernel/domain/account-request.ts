/**
 * What an edge (HTTP, WebSocket, a later protocol) may ask of an account, whoever owns it. Plain data: the same value
 * is run here or crosses the mesh to the owner. One request speaks of one account and carries one intent.
 */
import type { AccountId } from './identifiers.js';
import type { Problem } from './problem.js';

/** What the owner needs to know of the call besides the request. Plain data. */
export interface CallContext {
  readonly requestId: string;
  /** The token's `sub`. */
  readonly subject: string;
  readonly tokenId?: string;
  /** W3C trace context, passed on to the broker call's span. */
  readonly traceparent?: string;
  /** Milliseconds left when the request was handed over; clocks of two processes are never compared. */
  readonly budgetMs: number;
}

/** Reads that the mirror may answer; `fresh` forces the broker, `maxAgeMs` bounds the age of a mirrored answer. */
export interface Freshness {
  readonly fresh: boolean;
  readonly maxAgeMs?: number;
}

export type AccountRead =
  | { readonly resource: 'account' }
  | { readonly resource: 'positions' }
  | { readonly resource: 'position'; readonly symbol: string }
  /** `query` is the validated query in the broker's own spelling, without `?`. */
  | { readonly resource: 'orders'; readonly query: string }
  | { readonly resource: 'order'; readonly orderId: string; readonly query: string }
  | { readonly resource: 'order-by-client-order-id'; readonly clientOrderId: string }
  | { readonly resource: 'activities'; readonly query: string }
  | { readonly resource: 'portfolio-history'; readonly query: string };

/** What names the order of a request, decided once where the request is read. */
export interface OrderNaming {
  /** The caller's, or one made where the request was read; absent where the caller gave a client order id of its own. */
  readonly idempotencyKey?: string;
  /**
   * `never`: the key was made for this request, and no owner has had it yet. `perhaps`: an owner that is gone may have
   * acted on it. Absent: its caller alone knows.
   */
  readonly sentBefore?: 'never' | 'perhaps';
}

/** The broker's id is one address of an order, the client order id another: neither is ever taken for the other. */
export type OrderTarget = { readonly orderId: string } | { readonly clientOrderId: string };

export type AccountRequest =
  | { readonly kind: 'read'; readonly accountId: AccountId; readonly read: AccountRead; readonly freshness: Freshness }
  | ({
      readonly kind: 'submit-order';
      readonly accountId: AccountId;
      /** Which route took it: the asset class is part of the caller's intent. */
      readonly assetClass: 'stocks' | 'options';
      /** The validated body as the caller wrote it: values reach the broker as they came. */
      readonly order: Readonly<Record<string, unknown>>;
      readonly dryRun: boolean;
    } & OrderNaming)
  | ({
      readonly kind: 'replace-order';
      readonly accountId: AccountId;
      readonly changes: Readonly<Record<string, unknown>>;
      readonly dryRun: boolean;
    } & OrderNaming &
      OrderTarget)
  | ({ readonly kind: 'cancel-order'; readonly accountId: AccountId; readonly dryRun: boolean } & OrderTarget)
  | { readonly kind: 'cancel-all-orders'; readonly accountId: AccountId; readonly dryRun: boolean }
  | ({
      readonly kind: 'close-position';
      readonly accountId: AccountId;
      readonly symbol: string;
      readonly qty?: string;
      readonly percentage?: string;
      readonly dryRun: boolean;
    } & OrderNaming)
  | ({
      readonly kind: 'close-all-positions';
      readonly accountId: AccountId;
      /** Cancels all orders first, and waits for their ends. */
      readonly cancelOrders: boolean;
      readonly dryRun: boolean;
    } & OrderNaming)
  | { readonly kind: 'read-audit'; readonly accountId: AccountId; readonly query: Readonly<Record<string, string>> }
  | {
      readonly kind: 'set-trading-state';
      readonly accountId: AccountId;
      readonly state: TradingState;
      readonly reason: string;
      /** Given where the state was set at another instance: when that was, wall milliseconds. */
      readonly at?: number;
    }
  | { readonly kind: 'describe'; readonly accountId: AccountId };

/** A trading state as instances tell it to each other. */
export interface SharedTradingState {
  readonly state: TradingState;
  readonly reason: string;
  readonly subject: string;
  readonly at: number;
}

export type TradingState = 'ACTIVE' | 'REDUCING' | 'HALTED';

/** `body` is the broker's own bytes wherever the broker answered; never parsed and re-serialised on the way. */
export type AccountAnswer =
  | {
      readonly kind: 'answer';
      readonly status: number;
      /** Lower-case names. Content-Length and hop-by-hop headers are the edge's business. */
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Uint8Array;
      /** Time spent waiting for the broker, for Server-Timing. */
      readonly upstreamMs?: number;
    }
  | { readonly kind: 'problem'; readonly problem: Problem; readonly upstreamMs?: number };

export type SessionState = 'connecting' | 'ready' | 'degraded' | 'reconciling' | 'halted' | 'failed';

/** A session as `/pool` and the primary see it. Plain data; no secret and nothing of the account's money. */
export interface SessionReport {
  readonly accountId: AccountId;
  readonly state: SessionState;
  readonly tradingState: TradingState;
  /** Milliseconds since the broker last answered well, or undefined if it never has. */
  readonly lastSuccessAgeMs?: number;
  readonly lastError?: { readonly code: string; readonly detail: string; readonly ageMs: number };
  readonly budget?: { readonly limit: number; readonly remaining: number; readonly resetsInMs: number };
  readonly openUnknown: number;
  /** Age of the oldest of them. */
  readonly oldestUnknownMs?: number;
  /** The broker's clock less ours, by its last answer; it tells whole seconds. */
  readonly clockOffsetMs?: number;
  readonly streamConnected: boolean;
}
