/**
 * One account's part of the journal, for its owner alone. Reads come from memory-mapped pages; every write is on disk
 * when its promise resolves. A record that does not match its checksum throws: the account must not trade on a guess.
 */
import type { AccountId } from '../domain/identifiers.js';
import type { EventPosition, OrderEvent, ResumedEvents } from '../domain/order-event.js';
import { EventRing } from './event-ring.js';
import { decodeRecord, encodeRecord } from './record-codec.js';
import type { IntentRecord, OutcomeRecord, PendingFill, StoredTradingState, Tenancy } from './records.js';
import type { Store, StoreWrite } from './store.js';

export interface AccountJournalOptions {
  readonly ringSize: number;
  readonly keepKeysDays: number;
}

export interface RecentIntent {
  readonly clientOrderId: string;
  /** Wall time, milliseconds. */
  readonly at: number;
  readonly likeness: string;
}

const DAY_MS = 86_400_000;
/** The longest duplicate window that can be configured. */
const RECENT_KEPT_MS = 3_600_000;
const RECENT_MAX = 10_000;

export class AccountJournal {
  readonly #ring: EventRing;
  /** Executions whose commit is under way: not readable yet, and not to be recorded twice. */
  readonly #executionsUnderWay = new Set<string>();
  /** Oldest first. */
  readonly #recentKeys: { readonly key: string; readonly at: number }[] = [];

  /** @throws GatewayError JOURNAL_BROKEN */
  constructor(
    private readonly store: Store,
    readonly accountId: AccountId,
    readonly epoch: number,
    private readonly options: AccountJournalOptions,
  ) {
    this.#ring = new EventRing(store, accountId, epoch, options.ringSize);
  }

  /** Marks this epoch as the account's newest: an older owner finds out when it asks. */
  async begin(now: number): Promise<void> {
    await this.#commit([this.#put('h', { epoch: this.epoch, at: now }), ...this.#ring.adoptionWrites()]);
  }

  intent(clientOrderId: string): IntentRecord | undefined {
    return this.#get(`i/${clientOrderId}`) as IntentRecord | undefined;
  }

  outcome(clientOrderId: string): OutcomeRecord | undefined {
    return this.#get(`o/${clientOrderId}`) as OutcomeRecord | undefined;
  }

  clientOrderIdOf(scope: string): string | undefined {
    return this.#get(`k/${scope}`) as string | undefined;
  }

  /** Intents without an outcome, in no particular order. */
  openIntents(): readonly IntentRecord[] {
    const open: IntentRecord[] = [];
    const prefix = this.#key('u/');
    for (const { key } of this.store.range(prefix)) {
      const intent = this.intent(key.slice(prefix.length));
      if (intent !== undefined) open.push(intent);
    }
    return open;
  }

  /**
   * What was sent within the last `withinMs`, oldest first, for the limits that count: intents that are not proven
   * unsent. `likeness` as it was given to recordIntent.
   */
  recentIntents(now: number, withinMs: number): readonly RecentIntent[] {
    const prefix = this.#key('w/');
    const recent: RecentIntent[] = [];
    for (const { key, value } of this.store.range(prefix)) {
      const [at = '', ...rest] = key.slice(prefix.length).split('/');
      const clientOrderId = rest.join('/');
      this.#recentKeys.push({ key, at: Number(at) });
      if (Number(at) < now - withinMs || this.outcome(clientOrderId)?.state === 'NOT_SENT') continue;
      recent.push({ clientOrderId, at: Number(at), likeness: decodeRecord(key, value) as string });
    }
    return recent;
  }

  /** A key that ended in NOT_SENT begins again: the earlier outcome goes in the same commit. */
  async recordIntent(intent: IntentRecord, likeness?: string): Promise<void> {
    const id = intent.clientOrderId;
    const writes = [this.#put(`i/${id}`, intent), this.#put(`u/${id}`, 1), this.#remove(`o/${id}`)];
    if (intent.scope !== undefined) writes.push(this.#put(`k/${intent.scope}`, id));
    writes.push(this.#put(`p/${dayOf(intent.recordedAt)}/i/${id}`, intent.scope ?? ''));
    if (likeness !== undefined) writes.push(...this.#noteRecent(intent, likeness));
    await this.#commit(writes);
  }

  async amendIntent(intent: IntentRecord): Promise<void> {
    await this.#commit([this.#put(`i/${intent.clientOrderId}`, intent)]);
  }

  async recordOutcome(clientOrderId: string, outcome: OutcomeRecord): Promise<void> {
    await this.#commit([this.#put(`o/${clientOrderId}`, outcome), this.#remove(`u/${clientOrderId}`)]);
  }

  tradingState(): StoredTradingState | undefined {
    return this.#get('t') as StoredTradingState | undefined;
  }

  async setTradingState(state: StoredTradingState): Promise<void> {
    await this.#commit([this.#put('t', state)]);
  }

  /** Undefined where nothing was ever written down of it. */
  tenancy(): Tenancy | undefined {
    return this.#get('b') as Tenancy | undefined;
  }

  async setTenancy(tenancy: Tenancy): Promise<void> {
    await this.#commit([this.#put('b', tenancy)]);
  }

  /** True when this execution has been recorded, by whichever owner. */
  knowsExecution(executionId: string): boolean {
    return this.#executionsUnderWay.has(executionId) || this.#get(`x/${executionId}`) !== undefined;
  }

  /**
   * Numbers and keeps an event. The number is taken at once, so that order is kept; a new fill is noted in the same
   * commit as pending for the audit trail.
   */
  appendEvent(
    draft: Omit<OrderEvent, 'accountId' | 'epoch' | 'seq'>,
    fills: readonly PendingFill[],
  ): { readonly event: OrderEvent; readonly durable: Promise<void> } {
    const { event, writes } = this.#ring.append(draft);
    const all = [...writes];
    for (const fill of fills) {
      this.#executionsUnderWay.add(fill.executionId);
      all.push(...this.#fillWrites(fill));
    }
    const durable = this.#commit(all).finally(() => {
      this.#ring.settle(event.seq);
      for (const fill of fills) this.#executionsUnderWay.delete(fill.executionId);
    });
    return { event, durable };
  }

  /** For a fill whose event could not be kept. */
  async keepFill(fill: PendingFill): Promise<void> {
    await this.#commit(this.#fillWrites(fill));
  }

  pendingFills(): readonly PendingFill[] {
    return [...this.store.range(this.#key('f/'))].map(({ key, value }) => decodeRecord(key, value) as PendingFill);
  }

  async fillAudited(executionId: string): Promise<void> {
    await this.#commit([this.#remove(`f/${executionId}`)]);
  }

  /** Whether a former owner, or this one, has published anything of the account. */
  hasEvents(): boolean {
    return this.#ring.hasEvents();
  }

  position(): EventPosition {
    return this.#ring.position();
  }

  eventsAfter(after: EventPosition): ResumedEvents {
    return this.#ring.after(after);
  }

  /** Forgets keys, outcomes and executions that are older than they must be kept. Open intents are never forgotten. */
  async prune(now: number): Promise<number> {
    const oldestKept = dayOf(now - this.options.keepKeysDays * DAY_MS);
    const prefix = this.#key('p/');
    const writes: StoreWrite[] = [];
    for (const { key, value } of this.store.range(prefix)) {
      const [day = '', kind = '', ...rest] = key.slice(prefix.length).split('/');
      if (day >= oldestKept) break;
      const id = rest.join('/');
      if (kind === 'x') writes.push(this.#remove(`x/${id}`), { key });
      else writes.push(...this.#forgetIntent(id, decodeRecord(key, value) as string, day), { key });
    }
    await this.#commit(writes);
    return writes.length;
  }

  /** Nothing when the intent is open still, or was begun again later under the same id. */
  #forgetIntent(clientOrderId: string, scope: string, day: string): StoreWrite[] {
    const intent = this.intent(clientOrderId);
    if (intent === undefined || dayOf(intent.recordedAt) !== day || this.outcome(clientOrderId) === undefined)
      return [];
    const writes = [this.#remove(`i/${clientOrderId}`), this.#remove(`o/${clientOrderId}`)];
    if (scope !== '') writes.push(this.#remove(`k/${scope}`));
    return writes;
  }

  #noteRecent({ clientOrderId, recordedAt }: IntentRecord, likeness: string): readonly StoreWrite[] {
    const key = this.#key(`w/${String(recordedAt).padStart(15, '0')}/${clientOrderId}`);
    this.#recentKeys.push({ key, at: recordedAt });
    const writes: StoreWrite[] = [{ key, value: encodeRecord(key, likeness) }];
    while (this.#isForgotten(recordedAt)) {
      const oldest = this.#recentKeys.shift();
      if (oldest !== undefined) writes.push({ key: oldest.key });
    }
    return writes;
  }

  #isForgotten(now: number): boolean {
    const [oldest] = this.#recentKeys;
    if (oldest === undefined) return false;
    return oldest.at < now - RECENT_KEPT_MS || this.#recentKeys.length > RECENT_MAX;
  }

  #fillWrites(fill: PendingFill): readonly StoreWrite[] {
    const { executionId, at } = fill;
    const day = this.#put(`p/${dayOf(at)}/x/${executionId}`, '');
    return [this.#put(`x/${executionId}`, fill), this.#put(`f/${executionId}`, fill), day];
  }

  #key(name: string): string {
    return `${this.accountId}/${name}`;
  }

  #get(name: string): unknown {
    const key = this.#key(name);
    const bytes = this.store.get(key);
    return bytes === undefined ? undefined : decodeRecord(key, bytes);
  }

  #put(name: string, payload: unknown): StoreWrite {
    const key = this.#key(name);
    return { key, value: encodeRecord(key, payload) };
  }

  #remove(name: string): StoreWrite {
    return { key: this.#key(name) };
  }

  async #commit(writes: readonly StoreWrite[]): Promise<void> {
    if (writes.length > 0) await this.store.commit(writes);
  }
}

function dayOf(wallMs: number): string {
  return new Date(wallMs).toISOString().slice(0, 10);
}
