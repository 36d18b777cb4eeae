/** The desk's fence: an account may be sent for only from its grant until its release begins. */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { Fence } from '../orders/ports.js';

export class GrantFence implements Fence {
  readonly #granted = new Set<AccountId>();
  #isClosed = false;

  holds(accountId: AccountId): boolean {
    return this.#granted.has(accountId);
  }

  grant(accountId: AccountId): void {
    if (!this.#isClosed) this.#granted.add(accountId);
  }

  revoke(accountId: AccountId): void {
    this.#granted.delete(accountId);
  }

  /** The process drains: nothing is granted here any more. */
  close(): void {
    this.#isClosed = true;
    this.#granted.clear();
  }
}
