/**
 * Which brokerage account stands behind each account id, as the broker names it. Two account ids of one brokerage account
 * would trade under two sets of limits: the one that stands first in the configuration opens, the other one is refused
 * (docs/order-protocol.md#tenancy).
 */
import type { AccountId } from '../kernel/domain/identifiers.js';

export interface BrokerAccountsParts {
  /** Configured trading accounts, in the order of the configuration. */
  readonly configured: () => readonly AccountId[];
  /** Stops the account at its owner, if it is here. */
  readonly refuse: (accountId: AccountId, sameAs: AccountId) => void;
  /** Opens an account again that was refused before. */
  readonly allow: (accountId: AccountId) => void;
}

export class BrokerAccounts {
  readonly #numbers = new Map<AccountId, string>();
  #refused: ReadonlyMap<AccountId, AccountId> = new Map();

  constructor(private readonly parts: BrokerAccountsParts) {}

  /** Named by the owner of the account here. */
  named(accountId: AccountId, number: string): void {
    this.#numbers.set(accountId, number);
    const sameAs = this.#refused.get(accountId);
    this.judge();
    // Its owner may have opened it again since it was refused.
    if (sameAs !== undefined && this.#refused.get(accountId) === sameAs) this.parts.refuse(accountId, sameAs);
  }

  /** As instances share it: the last name that any owner was given. */
  learned(accountId: AccountId, number: string): void {
    if (this.#numbers.get(accountId) === number) return;
    this.#numbers.set(accountId, number);
    this.judge();
  }

  /** To be called when the configuration has changed. */
  judge(): void {
    const before = this.#refused;
    const now = doubled(this.parts.configured(), this.#numbers);
    this.#refused = now;
    for (const [accountId, sameAs] of now) if (before.get(accountId) !== sameAs) this.parts.refuse(accountId, sameAs);
    for (const accountId of before.keys()) if (!now.has(accountId)) this.parts.allow(accountId);
  }
}

/** Every account whose number an account before it has too, with that one. */
function doubled(
  configured: readonly AccountId[],
  numbers: ReadonlyMap<AccountId, string>,
): ReadonlyMap<AccountId, AccountId> {
  const firstOf = new Map<string, AccountId>();
  const later = new Map<AccountId, AccountId>();
  for (const accountId of configured) {
    const number = numbers.get(accountId);
    if (number === undefined || number === '') continue;
    const first = firstOf.get(number);
    if (first === undefined) firstOf.set(number, accountId);
    else later.set(accountId, first);
  }
  return later;
}
