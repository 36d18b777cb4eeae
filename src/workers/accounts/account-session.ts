/**
 * One account's session as the order desk and the router see it: calls to the broker within the account's budget, the
 * mirror, and the broker's trade updates. Who refuses what: the session knows the wire and its limits, the desk knows
 * intents and outcomes.
 */
import type {
  AccountAnswer,
  AccountRead,
  Freshness,
  SessionReport,
  SessionState,
} from '../../kernel/domain/account-request.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';

/** Which queue of the account's rate budget a call waits in. Earlier members go first. */
export type BudgetLane = 'cancel' | 'order' | 'lookup' | 'read';

export interface BrokerCall {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path and query on the trading host, such as `/v2/orders?status=open`. */
  readonly path: string;
  /** JSON text, sent byte for byte. */
  readonly body?: string;
  readonly lane: BudgetLane;
  /** From now until the whole answer is read, the wait for the budget included. */
  readonly deadlineMs: number;
  /** Asked synchronously right before the first byte leaves (lease, epoch, halt). False: nothing is sent. */
  readonly mayStillSend?: () => boolean;
  readonly traceparent?: string;
  /** Names the owner's epoch to the broker's side: evidence of who sent what when. */
  readonly epoch?: number;
}

/**
 * What is known after one attempt. `not-sent` is proof that no byte reached the socket; everything between the first
 * byte and a complete readable answer is `ambiguous` (docs/order-protocol.md R5). A 5xx, 408, 425 or unreadable body is
 * still `answered` here: the desk classifies statuses.
 */
export type BrokerReply =
  | {
      readonly kind: 'answered';
      readonly status: number;
      /** Lower-case names. */
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Uint8Array;
      readonly upstreamMs: number;
      /** Of a 429: after it the account's calls go out again. */
      readonly retryAfterS?: number;
    }
  | {
      readonly kind: 'not-sent';
      readonly reason: 'budget' | 'breaker' | 'forbidden' | 'connect' | 'deadline' | 'closed';
      readonly detail: string;
      readonly retryAfterS?: number;
    }
  | { readonly kind: 'ambiguous'; readonly detail: string; readonly upstreamMs: number };

/** A trade update as the stream brought it, or as gap repair synthesised it. */
export interface TradeUpdate {
  readonly event: string;
  readonly timestamp: string;
  /** The update's `data` object as raw JSON text. */
  readonly data: string;
  readonly order: Readonly<Record<string, unknown>>;
  readonly executionId?: string;
  readonly reconciled: boolean;
}

/** A brokerage account as the broker names it. */
export interface BrokerAccount {
  readonly id: string;
  /** What people read on statements. */
  readonly number: string;
}

export interface AccountSession {
  readonly accountId: AccountId;
  readonly epoch: number;
  /** Names the key pair in use, by a hash. */
  readonly keysId: string;
  /** Whose keys they are; undefined until the broker has named it. */
  brokerAccount(): BrokerAccount | undefined;
  /** Called when the broker names it, and when other keys of the same account are in use. */
  onBrokerAccount(listen: (account: BrokerAccount) => void): () => void;
  state(): SessionState;
  report(): Omit<SessionReport, 'tradingState' | 'openUnknown'>;
  /** One attempt, never retried by any layer below. Never rejects. */
  send(call: BrokerCall): Promise<BrokerReply>;
  /** From the mirror where it can prove the answer, else from the broker. */
  read(
    read: AccountRead,
    freshness: Freshness,
    options: { readonly deadlineMs: number; readonly traceparent?: string },
  ): Promise<AccountAnswer>;
  /** The mirror's own view, for risk: undefined until it is filled. Values are Alpaca's objects. */
  readonly mirror: MirrorView;
  /**
   * What the desk learned from an answer of its own: an order as Alpaca sent it. Makes "read your writes" true.
   * `text`: its bytes, so that the mirror can show them unchanged.
   */
  noteOrder(order: Readonly<Record<string, unknown>>, text?: string): void;
  /** Every update exactly once, in the order heard; updates found by gap repair are marked. */
  onTradeUpdate(listen: (update: TradeUpdate) => void): () => void;
  onState(listen: (state: SessionState) => void): () => void;
  close(options: { readonly deadlineMs: number }): Promise<void>;
}

export interface MirrorView {
  /** False while a gap is being repaired: the answer may be behind the broker. */
  readonly inSync: boolean;
  openOrders(): readonly Readonly<Record<string, unknown>>[];
  orderByClientOrderId(clientOrderId: string): Readonly<Record<string, unknown>> | undefined;
  orderById(orderId: string): Readonly<Record<string, unknown>> | undefined;
  position(symbol: string): Readonly<Record<string, unknown>> | undefined;
  positions(): readonly Readonly<Record<string, unknown>>[];
  account(): Readonly<Record<string, unknown>> | undefined;
}
