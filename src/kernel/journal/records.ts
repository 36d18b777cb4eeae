/** What the journal keeps of an account: intents, their outcomes, its trading state. Plain JSON data; no secret. */
import type { TradingState } from '../domain/account-request.js';
import type { AccountId } from '../domain/identifiers.js';
import type { FirstByteMark } from '../domain/first-byte.js';
import type { Problem } from '../domain/problem.js';

export type IntentKind = 'submit' | 'replace' | 'close';

/** One intent of one caller. Durable before its first byte leaves; one id for ever. */
export interface IntentRecord {
  readonly kind: IntentKind;
  readonly accountId: AccountId;
  readonly epoch: number;
  readonly clientOrderId: string;
  /** The client order id was made here; absent where its caller chose it. */
  readonly hasDerivedId?: true;
  /** Hash of subject, route and Idempotency-Key; absent when the caller gave no key. */
  readonly scope?: string;
  /** SHA-256 of the canonical request: what makes two requests the same. */
  readonly fingerprint: string;
  readonly path: string;
  /** JSON text as it is sent, byte for byte. */
  readonly body: string;
  readonly subject: string;
  readonly requestId: string;
  /** Wall time, milliseconds. */
  readonly recordedAt: number;
  readonly maxAgeMs: number;
  readonly ambiguous: 'reconcile_only' | 'resubmit_same_id';
  readonly onLate: 'keep' | 'cancel';
  /** Attempts that may have been started: raised durably before a second one. */
  readonly attempts: number;
  /** A cancel that waits until the broker's id of the order is known. */
  readonly cancelRequested: boolean;
  /** Where it is marked that a byte of the only attempt may have left; absent: nothing is known of it outside its process. */
  readonly firstByte?: FirstByteMark;
  /** Wall time at which the search was given up (docs/order-protocol.md R11); the order is still watched. */
  readonly abandonedAt?: number;
}

export type OutcomeState = 'ACKED' | 'ACKED_LATE' | 'REJECTED' | 'NOT_SENT' | 'CONFLICT' | 'ABANDONED_UNCONFIRMED';

/** How an intent ended and what its caller was, or will be, told. */
export interface OutcomeRecord {
  readonly state: OutcomeState;
  /** Wall time, milliseconds. */
  readonly at: number;
  readonly brokerOrderId?: string;
  readonly answer:
    | { readonly kind: 'answer'; readonly status: number; readonly location?: string; readonly body: string }
    | { readonly kind: 'problem'; readonly problem: Problem };
}

export interface StoredTradingState {
  readonly state: TradingState;
  readonly reason: string;
  readonly subject: string;
  /** Wall time, milliseconds: of two the newer counts. */
  readonly at: number;
}

/** Which brokerage account an account id stands for (docs/order-protocol.md#tenancy). */
export interface Tenancy {
  /** The broker's own id of the account; absent until the broker has named it. */
  readonly brokerAccountId?: string;
  /** Names the key pair that it was reached by, by a hash. */
  readonly keysId: string;
  /** Wall milliseconds: records of the audit trail before are of another brokerage account. */
  readonly since: number;
}

/** A fill that stands in the event ring and may not have reached the audit trail yet. */
export interface PendingFill {
  readonly executionId: string;
  readonly at: number;
  readonly facts: Readonly<Record<string, unknown>>;
}
