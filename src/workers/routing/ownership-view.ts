/** This worker's copy of the ownership table, as last told by the primary. An older table never replaces a newer one. */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { Assignment, OwnershipTable } from '../../kernel/ipc/ownership.js';

export class OwnershipView {
  #version = -1;
  #byAccount: ReadonlyMap<AccountId, Assignment> = new Map();
  readonly #listeners = new Set<() => void>();

  apply(table: OwnershipTable): void {
    if (table.version < this.#version) return;
    this.#version = table.version;
    this.#byAccount = new Map(table.assignments.map((assignment) => [assignment.accountId, assignment]));
    this.changed();
  }

  ownerOf(accountId: AccountId): Assignment | undefined {
    return this.#byAccount.get(accountId);
  }

  /** Something that callers may wait for has changed: the table, a peer, an account that opened here. */
  changed(): void {
    for (const listen of [...this.#listeners]) listen();
  }

  /** Resolves at the next change, the deadline, or the abort. Never rejects. */
  nextChange(wait: (done: () => void) => () => void): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        this.#listeners.delete(done);
        stopWaiting();
        resolve();
      };
      this.#listeners.add(done);
      const stopWaiting = wait(done);
    });
  }
}
