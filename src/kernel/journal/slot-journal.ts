/**
 * The journal of one worker slot. An account that comes here from another slot brings its records along: they are read
 * from the slot that knew its newest epoch and copied in one commit, before the account may trade.
 */
import { GatewayError } from '../domain/errors.js';
import type { AccountId } from '../domain/identifiers.js';
import type { Clock } from '../runtime/clock.js';
import { AccountJournal, type AccountJournalOptions } from './account-journal.js';
import { decodeRecord, encodeRecord } from './record-codec.js';
import type { StoredTradingState, Tenancy } from './records.js';
import type { Store, StoreWrite } from './store.js';

export interface SlotStores {
  readonly own: Store;
  /**
   * Read-only views of the other slots, as they are now.
   * @throws GatewayError JOURNAL_BROKEN when one cannot be read: it might hold the newest records.
   */
  others(): readonly Store[];
  close(): Promise<void>;
}

const STATE_KEY = '.all/t';

export class SlotJournal {
  constructor(
    private readonly stores: SlotStores,
    private readonly options: AccountJournalOptions,
    private readonly clock: Clock,
  ) {}

  /** Why nothing may be recorded now, or undefined. */
  trouble(): string | undefined {
    return this.stores.own.trouble();
  }

  /**
   * @throws GatewayError JOURNAL_BROKEN when a record of this account is damaged
   * @throws GatewayError JOURNAL_LOCKED when a newer owner has written: this one is stale
   */
  async adopt(accountId: AccountId, epoch: number): Promise<AccountJournal> {
    const newest = this.#newestHome(accountId);
    if (newest !== undefined && newest.epoch > epoch) {
      throw new GatewayError('JOURNAL_LOCKED', { accountId, epoch, newestEpoch: newest.epoch });
    }
    if (newest !== undefined && newest.store !== this.stores.own) await this.#bring(accountId, newest.store);
    return this.#begin(accountId, epoch);
  }

  /**
   * For another brokerage account under the same account id: nothing that was recorded before is its own. The trading
   * state stays: who halted the account id did not lift it.
   * @throws GatewayError JOURNAL_LOCKED when a newer owner has written: this one is stale
   */
  async adoptFresh(accountId: AccountId, epoch: number, tenancy: Tenancy): Promise<AccountJournal> {
    const newest = this.#newestHome(accountId);
    if (newest !== undefined && newest.epoch > epoch) {
      throw new GatewayError('JOURNAL_LOCKED', { accountId, epoch, newestEpoch: newest.epoch });
    }
    const writes = new Map<string, StoreWrite>();
    for (const { key } of this.stores.own.range(`${accountId}/`)) writes.set(key, { key });
    const stateKey = `${accountId}/t`;
    const state = newest?.store.get(stateKey);
    if (state !== undefined) writes.set(stateKey, { key: stateKey, value: Uint8Array.from(state) });
    const tenancyKey = `${accountId}/b`;
    writes.set(tenancyKey, { key: tenancyKey, value: encodeRecord(tenancyKey, tenancy) });
    await this.stores.own.commit([...writes.values()]);
    return this.#begin(accountId, epoch);
  }

  /** As the slot that knows the account's newest epoch has it. @throws GatewayError JOURNAL_BROKEN */
  tenancy(accountId: AccountId): Tenancy | undefined {
    const key = `${accountId}/b`;
    const bytes = this.#newestHome(accountId)?.store.get(key);
    return bytes === undefined ? undefined : (decodeRecord(key, bytes) as Tenancy);
  }

  /** Client order ids of intents without an outcome, in the slot that knows the newest epoch. */
  openIds(accountId: AccountId): readonly string[] {
    const prefix = `${accountId}/u/`;
    return [...(this.#newestHome(accountId)?.store.range(prefix) ?? [])].map(({ key }) => key.slice(prefix.length));
  }

  /** Whether a caller's key was ever recorded for the account. */
  knowsScope(accountId: AccountId, scope: string): boolean {
    return this.#newestHome(accountId)?.store.get(`${accountId}/k/${scope}`) !== undefined;
  }

  /** The trading state of everything, the newest that any slot knows. */
  tradingState(): StoredTradingState | undefined {
    let newest: StoredTradingState | undefined;
    for (const store of [this.stores.own, ...this.stores.others()]) {
      const bytes = store.get(STATE_KEY);
      const stored = bytes === undefined ? undefined : (decodeRecord(STATE_KEY, bytes) as StoredTradingState);
      if (stored !== undefined && stored.at >= (newest?.at ?? 0)) newest = stored;
    }
    return newest;
  }

  async setTradingState(state: StoredTradingState): Promise<void> {
    await this.stores.own.commit([{ key: STATE_KEY, value: encodeRecord(STATE_KEY, state) }]);
  }

  async close(): Promise<void> {
    await this.stores.close();
  }

  knowsOrder(accountId: AccountId, clientOrderId: string): boolean {
    return this.#newestHome(accountId)?.store.get(`${accountId}/i/${clientOrderId}`) !== undefined;
  }

  async #begin(accountId: AccountId, epoch: number): Promise<AccountJournal> {
    const journal = new AccountJournal(this.stores.own, accountId, epoch, this.options);
    await journal.begin(this.clock.now());
    return journal;
  }

  #newestHome(accountId: AccountId): { readonly store: Store; readonly epoch: number } | undefined {
    let newest: { readonly store: Store; readonly epoch: number } | undefined;
    const key = `${accountId}/h`;
    for (const store of [this.stores.own, ...this.stores.others()]) {
      const bytes = store.get(key);
      if (bytes === undefined) continue;
      const { epoch } = decodeRecord(key, bytes) as { epoch: number };
      if (newest === undefined || epoch > newest.epoch) newest = { store, epoch };
    }
    return newest;
  }

  /** Values are copied as they are: what is damaged stays damaged, and is found when it is read. */
  async #bring(accountId: AccountId, from: Store): Promise<void> {
    const prefix = `${accountId}/`;
    const writes = new Map<string, StoreWrite>();
    for (const { key } of this.stores.own.range(prefix)) writes.set(key, { key });
    for (const { key, value } of from.range(prefix)) writes.set(key, { key, value: Uint8Array.from(value) });
    await this.stores.own.commit([...writes.values()]);
  }
}
