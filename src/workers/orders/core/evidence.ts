/**
 * What can be learned about one intent, from whichever channel and in whichever order. Evidence is only ever added;
 * outcome.ts folds it.
 */
import type { BrokerOrder } from './order-match.js';

/** How one attempt ended. `under-way` and `ambiguous` both mean that the broker may have the order. */
export type AttemptResult =
  | { readonly kind: 'under-way' }
  /** No byte reached the socket: final, for this attempt. */
  | { readonly kind: 'not-sent'; readonly reason: string; readonly detail: string; readonly retryAfterS?: number }
  /** 429: stopped at the broker's edge, not executed (docs/order-protocol.md R8). */
  | { readonly kind: 'throttled'; readonly retryAfterS?: number }
  | { readonly kind: 'accepted'; readonly order: BrokerOrder; readonly body: string }
  | { readonly kind: 'refused'; readonly status: number; readonly alpaca: Readonly<Record<string, unknown>> }
  | { readonly kind: 'duplicate-id'; readonly status: number; readonly alpaca: Readonly<Record<string, unknown>> }
  | { readonly kind: 'ambiguous'; readonly detail: string };

export type Evidence =
  | { readonly kind: 'attempt'; readonly attempt: number; readonly result: AttemptResult }
  /** A former owner may have sent it: nobody knows how often. */
  | { readonly kind: 'taken-over' }
  /** The broker showed an order with our id that matches our intent. */
  | { readonly kind: 'seen'; readonly channel: 'lookup' | 'list' | 'stream' | 'answer'; readonly order: BrokerOrder }
  /** The broker showed an order with our id that is not our intent. */
  | { readonly kind: 'seen-other'; readonly order: BrokerOrder }
  /** Looked for long enough, and a full sweep of open and closed orders was clean (R11). */
  | { readonly kind: 'given-up' };
