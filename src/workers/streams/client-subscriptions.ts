/** What one client is subscribed to, and the actions that change it. Who may what is decided here, by the token. */
import { mayReach, type Permission, type Principal } from '../../kernel/domain/permissions.js';
import { parseAccountId, type AccountId } from '../../kernel/domain/identifiers.js';
import type { EventPosition } from '../../kernel/domain/order-event.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { AccountRouter } from '../routing/account-router.js';
import { AccountSubscriber } from './account-subscriber.js';
import type { ChannelLists } from './client-message.js';
import type { MarketReader } from './audience.js';
import type { MarketSubscriptions } from './market-subscriptions.js';
import type { OrderFanOut } from './order-fan-out.js';
import type { StreamErrorRecord } from './stream-codes.js';
import { Subscriptions, topicsOf } from './subscriptions.js';

export type RecordKind = 'control' | 'order' | 'snapshot' | 'status';

export interface SubscriptionDeps {
  readonly router: AccountRouter;
  readonly market: MarketSubscriptions;
  readonly orders: OrderFanOut;
  readonly clock: Clock;
}

/** The way out to the client. */
export interface ClientVoice {
  send(text: string, kind: RecordKind, onSent?: () => void): void;
  error(error: StreamErrorRecord): void;
  flush(): void;
}

const OPEN_DEADLINE_MS = 5_000;

type Refusal = StreamErrorRecord | undefined;

export class ClientSubscriptions {
  readonly #held = new Subscriptions();
  readonly #accounts: AccountSubscriber;
  #closed = false;

  constructor(
    private readonly reader: MarketReader,
    private readonly limits: { readonly subscriptionsMax: number; readonly orderBacklogMax: number },
    private readonly deps: SubscriptionDeps,
    private readonly out: ClientVoice,
  ) {
    this.#accounts = new AccountSubscriber(
      deps.orders,
      (text, onSent) => this.out.send(text, 'order', onSent),
      limits.orderBacklogMax,
    );
  }

  /** Refused as a whole, or acknowledged; symbols that upstream refused are named besides. */
  async add(lists: ChannelLists, principal: Principal): Promise<Refusal> {
    const refusal = this.#mayNot(lists, principal);
    if (refusal !== undefined) return refusal;
    const { orders, status } = this.#accountsOf(lists, principal);
    const topics = topicsOf(lists).filter((topic) => !this.#held.topics.has(topic));
    if (this.#held.size + topics.length + orders.length + status.length > this.limits.subscriptionsMax) {
      return { code: 'subscription-limit', members: { limit: this.limits.subscriptionsMax } };
    }
    const refused = await this.deps.market.add(this.reader, this.#held.topics, topics);
    if (!(await this.#openOrders(orders))) return { code: 'unavailable' };
    if (this.#isClosed()) {
      this.#release();
      return undefined;
    }
    for (const accountId of orders) this.#held.orders.add(accountId);
    for (const accountId of status) this.#addStatus(accountId);
    this.acknowledge();
    this.#sendSnapshots(topics, status);
    return refused.length === 0 ? undefined : { code: 'symbol-refused', members: { symbols: refused } };
  }

  /** False, and none of them, when an owner does not say in time where its account stands. */
  async #openOrders(accountIds: readonly AccountId[]): Promise<boolean> {
    const late = new AbortController();
    const opened = Promise.all(accountIds.map((accountId) => this.#accounts.subscribe(accountId))).then(() => true);
    const gaveUp = this.deps.clock.sleep(OPEN_DEADLINE_MS, late.signal).then(() => false);
    const inTime = await Promise.race([opened, gaveUp]);
    late.abort();
    if (!inTime) for (const accountId of accountIds) this.#accounts.unsubscribe(accountId);
    return inTime;
  }

  #mayNot(lists: ChannelLists, principal: Principal): Refusal {
    const lacks = (permission: Permission): boolean => !principal.permissions.has(permission);
    if (lists.feeds.size > 0 && lacks('market_data')) {
      return { code: 'permission-missing', members: { permission: 'market_data' } };
    }
    const asked = [...lists.orders, ...lists.status];
    if (asked.length > 0 && lacks('read')) return { code: 'permission-missing', members: { permission: 'read' } };
    const foreign = asked.find((id) => id !== '*' && !this.#reaches(principal, id as AccountId));
    return foreign === undefined
      ? undefined
      : { code: 'account-not-found', members: { account_id: foreign.slice(0, 64) } };
  }

  #reaches(principal: Principal, accountId: AccountId): boolean {
    return this.deps.router.exists(accountId) && mayReach(principal, accountId);
  }

  /** The accounts that are not subscribed yet; `*` is remembered, for accounts that come later. */
  #accountsOf(
    lists: ChannelLists,
    principal: Principal,
  ): { orders: readonly AccountId[]; status: readonly AccountId[] } {
    const all = (): readonly AccountId[] => this.deps.router.accountIds().filter((id) => mayReach(principal, id));
    const resolve = (ids: readonly string[], held: ReadonlySet<AccountId>): readonly AccountId[] =>
      [...new Set(ids.includes('*') ? all() : ids.map(parseAccountId))].filter((id) => !held.has(id));
    this.#held.allOrders ||= lists.orders.includes('*');
    this.#held.allStatus ||= lists.status.includes('*');
    return {
      orders: resolve(lists.orders, this.#held.orders),
      status: resolve(lists.status, this.#held.status),
    };
  }

  /** Everything after a place, then live: subscribes too. */
  async resume(accountId: AccountId, after: EventPosition, principal: Principal): Promise<Refusal> {
    if (!principal.permissions.has('read')) return { code: 'permission-missing', members: { permission: 'read' } };
    if (!this.#reaches(principal, accountId)) return { code: 'account-not-found', members: { account_id: accountId } };
    const records = await this.#accounts.resume(accountId, after);
    if (records === undefined) return { code: 'resume-failed', members: { account_id: accountId } };
    if (this.#isClosed()) {
      this.#release();
      return undefined;
    }
    this.#held.orders.add(accountId);
    // With the tick: who comes back resumes many accounts in a row.
    this.out.send(this.#held.text(), 'control');
    this.#accounts.release(accountId, records);
    return undefined;
  }

  remove(lists: ChannelLists): void {
    this.deps.market.remove(this.reader, this.#held.topics, topicsOf(lists));
    const named = <T>(ids: readonly string[], held: ReadonlySet<T>): readonly T[] =>
      [...held].filter((id) => ids.includes('*') || ids.includes(String(id)));
    for (const accountId of named(lists.orders, this.#held.orders)) this.#endOrders(accountId);
    for (const accountId of named(lists.status, this.#held.status)) this.#endStatus(accountId);
    // Without one account it is not all accounts any more.
    if (lists.orders.length > 0) this.#held.allOrders = false;
    if (lists.status.length > 0) this.#held.allStatus = false;
    this.acknowledge();
  }

  /** Ends what the token or the configuration no longer allows, and begins what `*` came to mean. */
  follow(principal: Principal): void {
    const lost = [...new Set([...this.#held.orders, ...this.#held.status])].filter(
      (accountId) => !this.#reaches(principal, accountId),
    );
    for (const accountId of lost) {
      this.#endOrders(accountId);
      this.#endStatus(accountId);
      this.out.error({ code: 'account-not-found', members: { account_id: accountId } });
    }
    if (lost.length > 0) this.acknowledge();
    const { allOrders, allStatus } = this.#held;
    if (!allOrders && !allStatus) return;
    const lists = { feeds: new Map(), orders: allOrders ? ['*'] : [], status: allStatus ? ['*'] : [] };
    const { orders, status } = this.#accountsOf(lists, principal);
    for (const accountId of orders) {
      this.#held.orders.add(accountId);
      void this.#accounts.subscribe(accountId);
    }
    for (const accountId of status) this.#addStatus(accountId);
  }

  readonly #hearStatus = (text: string): void => this.out.send(text, 'status');

  #addStatus(accountId: AccountId): void {
    if (this.#held.status.has(accountId)) return;
    this.#held.status.add(accountId);
    this.deps.orders.listenToStatus(accountId, this.#hearStatus);
  }

  #endOrders(accountId: AccountId): void {
    if (this.#held.orders.delete(accountId)) this.#accounts.unsubscribe(accountId);
  }

  #endStatus(accountId: AccountId): void {
    if (this.#held.status.delete(accountId)) this.deps.orders.stopListening(accountId, this.#hearStatus);
  }

  #sendSnapshots(topics: readonly string[], status: readonly AccountId[]): void {
    for (const text of this.deps.market.snapshots(topics)) this.out.send(text, 'snapshot');
    for (const accountId of status) {
      const state = this.deps.router.report(accountId)?.state;
      if (state !== undefined)
        this.out.send(JSON.stringify({ type: 'status', account_id: accountId, state }), 'status');
    }
  }

  acknowledge(): void {
    this.out.send(this.#held.text(), 'control');
    this.out.flush();
  }

  /** Where a client that is cut off should resume. */
  positions(): ReturnType<AccountSubscriber['positions']> {
    return this.#accounts.positions();
  }

  close(): void {
    this.#closed = true;
    this.#release();
  }

  /** Not the field itself: the compiler would believe a value that it saw before an await. */
  #isClosed(): boolean {
    return this.#closed;
  }

  #release(): void {
    this.deps.market.remove(this.reader, this.#held.topics, [...this.#held.topics]);
    this.deps.market.forget(this.reader);
    this.#accounts.close();
    for (const accountId of this.#held.status) this.deps.orders.stopListening(accountId, this.#hearStatus);
  }
}
