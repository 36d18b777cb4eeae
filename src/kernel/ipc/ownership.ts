/** Who owns which account now. Every worker holds the whole table; the primary alone writes it. */
import type { AccountId } from '../domain/identifiers.js';

export interface Assignment {
  readonly accountId: AccountId;
  readonly slot: number;
  /** Rises on every move of this account and never falls. */
  readonly epoch: number;
}

export interface OwnershipTable {
  /** Rises with every change of the table. */
  readonly version: number;
  readonly assignments: readonly Assignment[];
}
