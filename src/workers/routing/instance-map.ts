/** Which instance holds an account, as the primary last told. Where the instance is alone everything is here. */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import { slotOf, type InstanceAddress, type InstancesView } from '../../kernel/ipc/instances.js';

export type Place =
  | { readonly kind: 'here' }
  | { readonly kind: 'there'; readonly instance: InstanceAddress }
  /** Its last holder is gone, or leaving, and the next one has not come yet. */
  | { readonly kind: 'nowhere' };

const HERE: Place = { kind: 'here' };
const NOWHERE: Place = { kind: 'nowhere' };

export class InstanceMap {
  #view: InstancesView | undefined;
  readonly #slots = new Map<AccountId, number>();
  readonly #listeners = new Set<() => void>();

  constructor(view: InstancesView | undefined) {
    this.#view = view;
  }

  get self(): string | undefined {
    return this.#view?.self;
  }

  /** Instances that live, this one included. */
  get members(): number {
    return this.#view?.members.length ?? 1;
  }

  get isAlone(): boolean {
    return this.#view === undefined;
  }

  apply(view: InstancesView): void {
    this.#view = view;
    for (const listen of [...this.#listeners]) listen();
  }

  placeOf(accountId: AccountId): Place {
    const view = this.#view;
    if (view === undefined) return HERE;
    const owner = view.owners[this.#slotOf(accountId, view.owners.length)] ?? null;
    if (owner === null) return NOWHERE;
    if (owner === view.self) return HERE;
    const instance = view.members.find(({ instanceId }) => instanceId === owner);
    return instance === undefined ? NOWHERE : { kind: 'there', instance };
  }

  /** Resolves at the next change or when `wait` says so. Never rejects. */
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

  /** Bounded by the accounts of the configuration: strangers are refused before they are placed. */
  #slotOf(accountId: AccountId, slots: number): number {
    const known = this.#slots.get(accountId);
    if (known !== undefined) return known;
    const slot = slotOf(accountId, slots);
    this.#slots.set(accountId, slot);
    return slot;
  }
}
