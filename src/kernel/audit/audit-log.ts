/**
 * The audit trail as its writers and readers see it. Append-only files under `data_dir/audit`, one chain a writer;
 * written before the act, with the intent, then with the result.
 */
import type { AccountId } from '../domain/identifiers.js';

export const AUDIT_KINDS = [
  'intent',
  'attempt',
  'outcome',
  'denial',
  'cancel',
  'replace',
  'fill',
  'halt',
  'config-change',
  'audit-access',
] as const;
export type AuditKind = (typeof AUDIT_KINDS)[number];

/** What happened, as the writer tells it. */
export interface AuditEntry {
  readonly kind: AuditKind;
  readonly accountId?: AccountId;
  /** Who: the token's `sub`, or `system` for what the gateway did on its own. */
  readonly subject: string;
  readonly requestId?: string;
  readonly traceId?: string;
  /** Plain JSON data; no secret. */
  readonly facts: Readonly<Record<string, unknown>>;
}

/** What stands in the file: the entry, when, and its place in the chain. */
export interface AuditRecord extends AuditEntry {
  readonly seq: number;
  readonly writer: string;
  /** Wall time, RFC 3339 UTC with milliseconds. */
  readonly at: string;
  readonly monotonicMs: number;
  /** SHA-256 in hex of the record before; 64 zeros for a chain's first. */
  readonly previous: string;
  readonly hash: string;
}

export interface AuditQuery {
  readonly accountId?: AccountId;
  /** RFC 3339, inclusive and exclusive. */
  readonly from?: string;
  readonly until?: string;
  readonly kinds?: readonly AuditKind[];
  readonly limit?: number;
}

export interface AuditLog {
  /**
   * Resolves when the record is on disk (one fdatasync serves all that wait).
   * @throws GatewayError AUDIT_BROKEN when it cannot be: whoever asked must not act.
   */
  append(entry: AuditEntry): Promise<void>;
  /** False while the disk refuses or is nearly full: orders are refused before they are sent. */
  healthy(): boolean;
  /** Over all writers of the data directory, by time. */
  read(query: AuditQuery): AsyncIterable<AuditRecord>;
  close(): Promise<void>;
}
