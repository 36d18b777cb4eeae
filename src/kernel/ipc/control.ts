/** Everything that primary and worker say to each other over the fork's channel. No request data passes here. */
import type {
  AccountAnswer,
  AccountRequest,
  CallContext,
  SessionReport,
  SharedTradingState,
  TradingState,
} from '../domain/account-request.js';
import type { AccountId } from '../domain/identifiers.js';
import type { GrantLease, InstancesView, LeaseWord } from './instances.js';
import type { Assignment, OwnershipTable } from './ownership.js';

/** An account as handed to its owner: the only place outside the configuration file where its secret travels. */
export interface AccountGrant {
  readonly accountId: AccountId;
  readonly epoch: number;
  readonly apiKey: string;
  readonly secretKey: string;
  readonly paperTrading: boolean;
  /**
   * Only with the master: the accounts of marketData.fallbackAccounts in their order, for market data alone. They travel
   * with it because the hub needs their keys wherever they trade.
   */
  readonly standIns?: readonly AccountGrant[];
  /** Only where several instances share the accounts: nothing is sent for the account without this lease. */
  readonly lease?: GrantLease;
  /** The newest trading state that any instance knows of; it is in force before the account is answered for. */
  readonly trading?: SharedTradingState;
}

export interface KeyRotation {
  readonly accountId: AccountId;
  /**
   * `rotated`: the session goes on under the new keys. `regrant`: it must be opened anew, because it does not work now or
   * the keys are of another account. `refused`, `unreachable`: what the broker said to the new keys while the old work.
   */
  readonly outcome: 'rotated' | 'regrant' | 'refused' | 'unreachable';
}

export type ProfileKind = 'cpu' | 'heap';

export type PrimaryMessage =
  /** The clients' bound socket travels with it. */
  | {
      readonly kind: 'start';
      readonly slot: number;
      /** Every slot that a worker of this boot may have. */
      readonly slots: readonly number[];
      readonly meshDir: string;
      /** Shared by the workers of this boot: a stranger on the socket is turned away. */
      readonly meshSecret: string;
      /** Names the shared quote table of this boot. */
      readonly bootPid: number;
      /** The compiled configuration without any account's secret (kernel/config GatewayConfig as JSON). */
      readonly config: unknown;
      readonly grants: readonly AccountGrant[];
      readonly table: OwnershipTable;
      /** Why no order may be placed now (`order-ids`). */
      readonly orderIdsRefusal?: string;
      /** Only where several instances share the accounts. */
      readonly instances?: { readonly view: InstancesView; readonly lease: LeaseWord };
    }
  /** To a spare, with what it will be configured by: what runs for the first time should do so before it is needed. */
  | { readonly kind: 'rehearse'; readonly config: unknown }
  /** The leases of this instance were renewed, or have lapsed. */
  | ({ readonly kind: 'lease' } & LeaseWord)
  | { readonly kind: 'instances'; readonly view: InstancesView }
  /** Another account id of the same brokerage account stands before it in the configuration. */
  | { readonly kind: 'refuse-account'; readonly accountId: AccountId; readonly sameAs: AccountId }
  /** Why no instance of this namespace may place orders now; absent: it may. */
  | { readonly kind: 'order-ids'; readonly refusal?: string }
  | { readonly kind: 'grant'; readonly grants: readonly AccountGrant[] }
  /** New keys for accounts that stay where they are. Answered by `collected` with KeyRotation[]. */
  | { readonly kind: 'rotate'; readonly id: number; readonly grants: readonly AccountGrant[] }
  | { readonly kind: 'release'; readonly accountIds: readonly AccountId[]; readonly deadlineMs: number }
  | { readonly kind: 'ownership'; readonly table: OwnershipTable }
  | { readonly kind: 'ping'; readonly sentAt: number }
  | { readonly kind: 'drain'; readonly deadlineMs: number }
  | { readonly kind: 'collect'; readonly what: 'pool'; readonly id: number }
  /** Answered by `collected` with the profile's bytes, or undefined while another one is taken. */
  | { readonly kind: 'profile'; readonly id: number; readonly what: ProfileKind; readonly seconds: number }
  | { readonly kind: 'reload'; readonly id: number; readonly config: unknown; readonly grants: readonly AccountGrant[] }
  /** Answered by `collected`: a request of the operator's door to an account of this worker. */
  | {
      readonly kind: 'execute';
      readonly id: number;
      readonly request: AccountRequest;
      readonly context: CallContext;
    }
  | { readonly kind: 'admin-answered'; readonly id: number; readonly answer: AccountAnswer }
  | { readonly kind: 'readiness'; readonly ready: boolean; readonly reasons: readonly string[] };

export type WorkerMessage =
  /** Forked and listening to the primary; has no account yet. */
  | { readonly kind: 'hello' }
  /** Every granted account has been tried once, the pool is warm, the listener is open. */
  | { readonly kind: 'ready'; readonly accounts: number }
  | { readonly kind: 'released'; readonly assignments: readonly Assignment[] }
  | { readonly kind: 'pong'; readonly sentAt: number; readonly sessions: Readonly<Record<string, number>> }
  | { readonly kind: 'collected'; readonly id: number; readonly payload: unknown }
  | { readonly kind: 'reloaded'; readonly id: number; readonly error?: string }
  | { readonly kind: 'drained' }
  /** The broker has named the account behind an account id; by its number, as it stands on statements. */
  | { readonly kind: 'named'; readonly accountId: AccountId; readonly number: string }
  /** An admin route that only the primary can carry out was called on a worker. */
  | { readonly kind: 'admin'; readonly id: number; readonly request: AdminRequest }
  /** kernel/telemetry MetricFamily[]: everything this process has counted. */
  | { readonly kind: 'metrics'; readonly families: unknown }
  /** The worker cannot start and says why before it ends: a port in use, a journal that is locked. */
  | { readonly kind: 'failed'; readonly code: string; readonly detail: string };

export type AdminRequest =
  | { readonly action: 'pool' }
  /** The pool with latency, streams and alerts: what the status page and `opitios status` show. */
  | { readonly action: 'status' }
  /** The whole instance's, in the exposition format. */
  | { readonly action: 'metrics' }
  | { readonly action: 'reload'; readonly subject: string }
  | { readonly action: 'restart'; readonly subject: string }
  | {
      readonly action: 'profile';
      /** Absent: the worker that was asked, or the first one. */
      readonly worker?: number;
      readonly what: ProfileKind;
      readonly seconds: number;
      readonly subject: string;
    }
  | {
      readonly action: 'trading-state';
      readonly state: TradingState;
      readonly reason: string;
      readonly subject: string;
    }
  /** Set at a worker and in force there: the other instances must know, and whoever owns the account later. */
  | ({ readonly action: 'share-trading-state'; readonly accountId: AccountId } & SharedTradingState);

/** A worker's part of `/pool`. */
export interface WorkerReport {
  readonly slot: number;
  readonly pid: number;
  readonly threads: number;
  readonly sessions: readonly SessionReport[];
}
