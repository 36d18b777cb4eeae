/**
 * The leases as they stand in the store that all instances share. One call does a whole beat, so that what it answers
 * is one moment: renew what is held, release what is given up, take what is free, and say who lives and who owns what.
 */
import type { SharedTradingState } from '../../kernel/domain/account-request.js';

export interface LeaseBeat {
  readonly instanceId: string;
  /** Where the other instances reach this one. */
  readonly advertiseUrl: string;
  readonly ttlMs: number;
  /**
   * Slots held, with the epoch they were taken under: a lease taken over meanwhile is not renewed by mistake. One that ran
   * out, or that the store has lost, is put back as long as nobody took it since.
   */
  readonly renew: readonly HeldSlot[];
  readonly release: readonly HeldSlot[];
  readonly acquire: readonly number[];
  /** The composite epoch below which no new lease may start. */
  readonly epochFloor: number;
  /** A new lease begins at least so far above the slot's last one. */
  readonly epochStep: number;
  /** Trading states to be told to all; the newest of a key wins. */
  readonly halts: readonly SharedHalt[];
  /** What is known already: the states come back only when there are others. */
  readonly haltsVersion: number;
  /** Takes part in the fair shares; false while draining. */
  readonly member: boolean;
}

/** `*` is every account. */
export interface SharedHalt {
  readonly key: string;
  readonly state: SharedTradingState;
}

export interface HeldSlot {
  readonly slot: number;
  readonly epoch: number;
}

export interface Member {
  readonly instanceId: string;
  readonly advertiseUrl: string;
}

export interface LeaseView {
  readonly members: readonly Member[];
  /** Index is the slot; undefined where nobody holds it. */
  readonly owners: readonly (SlotOwner | undefined)[];
  /** Another one after each change, and after the store has lost its memory. */
  readonly haltsVersion: number;
  /** All of them, when the version is another than the asker's. */
  readonly halts: readonly SharedHalt[];
  /** Slots newly taken by this beat. Of what was `released` nothing can still be on the wire. */
  readonly acquired: readonly (HeldSlot & { readonly before: 'released' | 'expired' | 'never-held' })[];
}

export interface SlotOwner {
  readonly instanceId: string;
  readonly epoch: number;
}

export interface LeaseStore {
  /** Rejects when the store is away, slow beyond the call's deadline, or refuses. */
  beat(beat: LeaseBeat): Promise<LeaseView>;
  /** Somebody released leases or left: a beat now would find something. */
  onNudge(listen: () => void): void;
  close(): Promise<void>;
}
