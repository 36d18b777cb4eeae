/**
 * What a worker knows of the other instances and of this instance's leases. The primary tells it; a worker never speaks
 * to the lease store. Absent where the instance is alone.
 */
import { createHash } from 'node:crypto';

/** The lease that guards an account, as it was when the account was granted. */
export interface GrantLease {
  readonly slot: number;
  readonly epoch: number;
  /** Monotonic milliseconds: until then a call without a client order id waits, for the last owner's may be on the wire. */
  readonly cleanAtMs: number;
}

/** Sent after each good beat. Times are on the machine's monotonic clock, which all processes share. */
export interface LeaseWord {
  readonly validUntilMs: number;
  /**
   * Wall time less monotonic time when the renewal was sent. A machine that sleeps stops the one and not the other: a
   * larger difference now means that the lease may have run out meanwhile.
   */
  readonly wallLeadMs: number;
  /** Slot and epoch of each lease held. */
  readonly held: readonly (readonly [slot: number, epoch: number])[];
}

export interface InstanceAddress {
  readonly instanceId: string;
  /** Where its client door is reached. */
  readonly url: string;
}

export interface InstancesView {
  /** This one. */
  readonly self: string;
  readonly members: readonly InstanceAddress[];
  /** Index is the lease slot: the instance that holds it, or null. */
  readonly owners: readonly (string | null)[];
}

/** Stable for ever for a given number of slots: it decides which lease guards an account. */
export function slotOf(accountId: string, slots: number): number {
  return createHash('sha256').update(accountId).digest().readUInt32BE(0) % slots;
}
