/**
 * The desk's fence: an account may be sent for only from its grant until its release begins, and where instances share
 * the accounts only under the very lease of its grant, while that is good by this machine's monotonic clock.
 */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { AccountGrant } from '../../kernel/ipc/control.js';
import type { GrantLease, LeaseWord } from '../../kernel/ipc/instances.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Fence } from '../orders/ports.js';

/** What a write may take between this check and the wire (docs/order-protocol.md L3). */
const REMAINING_MS_MIN = 300;
/** Wall time that passed beyond the monotonic clock's: the machine slept, and the lease with it (L2). */
const SUSPEND_GAP_MS = 500;

export class GrantFence implements Fence {
  readonly #granted = new Map<AccountId, GrantLease | undefined>();
  #isClosed = false;
  #validUntilMs = 0;
  #held: ReadonlyMap<number, number> = new Map();
  #wallLeadMs = 0;

  constructor(private readonly clock: Clock) {}

  holds(accountId: AccountId): boolean {
    return this.#granted.has(accountId) && this.#isLeased(this.#granted.get(accountId));
  }

  /** Granted, and nothing may be sent because the lease is not good now. */
  hasLapsed(accountId: AccountId): boolean {
    return this.#granted.has(accountId) && !this.#isLeased(this.#granted.get(accountId));
  }

  /** Milliseconds until nothing of a former owner can be on the wire any more. */
  lockDelayMs(accountId: AccountId): number {
    return Math.max(0, (this.#granted.get(accountId)?.cleanAtMs ?? 0) - this.clock.monotonicMs());
  }

  grant({ accountId, lease }: Pick<AccountGrant, 'accountId' | 'lease'>): void {
    if (!this.#isClosed) this.#granted.set(accountId, lease);
  }

  revoke(accountId: AccountId): void {
    this.#granted.delete(accountId);
  }

  /** The primary's newest word. An old one that was long on its way says by its own figures that it is over. */
  renew({ validUntilMs, wallLeadMs, held }: LeaseWord): void {
    this.#validUntilMs = validUntilMs;
    this.#held = new Map(held);
    this.#wallLeadMs = wallLeadMs;
  }

  /** The process drains: nothing is granted here any more. */
  close(): void {
    this.#isClosed = true;
    this.#granted.clear();
  }

  #isLeased(lease: GrantLease | undefined): boolean {
    if (lease === undefined) return true;
    if (this.#held.get(lease.slot) !== lease.epoch) return false;
    const now = this.clock.monotonicMs();
    if (this.clock.now() - now - this.#wallLeadMs > SUSPEND_GAP_MS) return false;
    return this.#validUntilMs - now >= REMAINING_MS_MIN;
  }
}
