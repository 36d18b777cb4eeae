/** What the order desk is built from: its dependencies and its settings, for the composition root and for tests. */
import type { SharedTradingState } from '../../kernel/domain/account-request.js';
import type { AuditLog } from '../../kernel/audit/audit-log.js';
import type { OrdersConfig, RiskConfig } from '../../kernel/config/gateway-config.js';
import type { FirstByteMark } from '../../kernel/domain/first-byte.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { SlotJournal } from '../../kernel/journal/slot-journal.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { CrashPoints } from './crash-points.js';
import type { Entropy } from './entropy.js';

/** The newest quote of a symbol that can be had without a call. Decimals as strings. */
export interface Mark {
  readonly bidPrice: string;
  readonly askPrice: string;
  readonly ageMs: number;
}

export interface MarkSource {
  quote(symbol: string): Mark | undefined;
  /** Asks the broker, once however many wait for it, within the master's budget; undefined when it has none. */
  fetch?(symbol: string, assetClass: 'us_equity' | 'us_option' | 'crypto'): Promise<Mark | undefined>;
}

/** Whether this instance still owns the account: asked synchronously right before the first byte of an order leaves. */
export interface Fence {
  holds(accountId: AccountId): boolean;
  /** The account is here, and its lease is not good now: the lease store does not answer, or time ran out. */
  hasLapsed?(accountId: AccountId): boolean;
  /** Milliseconds in which bytes of a former owner may still arrive: what carries no client order id waits. */
  lockDelayMs?(accountId: AccountId): number;
}

/** Marks outside this process, so that its successor knows of which orders nothing has left. */
export interface FirstBytes {
  /** For an intent of which nothing has left. */
  next(): FirstByteMark;
  /** Called in the turn in which the first byte leaves. False: it could not be marked, and nothing may leave. */
  set(mark: FirstByteMark): boolean;
  /** False says nothing. */
  provesUnsent(mark: FirstByteMark): boolean;
}

export interface DeskPorts {
  readonly fence: Fence;
  readonly journal: SlotJournal;
  readonly audit: AuditLog;
  readonly marks: MarkSource;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly crash: CrashPoints;
  /** Absent where there is no shared memory: what a killed owner left open is unknown then. */
  readonly firstBytes?: FirstBytes;
  readonly log: Log;
  readonly meter: Meter;
  /** A trading state that was set here: whoever owns the account later must know. False when it could not be told yet. */
  readonly tellTradingState?: (accountId: AccountId, state: SharedTradingState) => Promise<boolean>;
}

/** What a reload of the configuration may change while orders are under way. */
export interface DeskSettings {
  readonly orders: OrdersConfig;
  readonly risk: RiskConfig;
}

export interface DeskOptions extends DeskSettings {
  /** Where instances share accounts each order says to the broker's side under which epoch it was sent. */
  readonly marksEpoch?: boolean;
  /** For one attempt, its wait for the budget included. */
  readonly attemptDeadlineMs: number;
}
