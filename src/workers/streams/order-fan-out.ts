/** Order events and session states of accounts, to the sockets of this worker that subscribed to them. */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { EventPosition } from '../../kernel/domain/order-event.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { OrderEventsDoor } from '../routing/order-events-door.js';
import { AccountFeed, placedRecords, type Deliver, type PlacedRecord } from './account-feed.js';
import { statusText } from './order-record.js';
import { SharedQuestion } from './shared-question.js';

const RESUME_DEADLINE_MS = 3_000;

export type HearStatus = (text: string) => void;

export class OrderFanOut {
  readonly #feeds = new Map<AccountId, AccountFeed>();
  readonly #statusListeners = new Map<AccountId, Set<HearStatus>>();
  readonly #questions = new SharedQuestion<readonly PlacedRecord[]>();
  readonly #leave: readonly (() => void)[];

  constructor(
    private readonly door: OrderEventsDoor,
    private readonly clock: Clock,
  ) {
    this.#leave = [
      door.onEvent((event) => this.#feeds.get(event.accountId)?.take(event)),
      door.onState((accountId, state) => {
        const text = statusText(accountId, state);
        for (const hear of this.#statusListeners.get(accountId) ?? []) hear(text);
        // A session that comes back may have a new owner, and what the old one said last may be lost.
        if (state === 'ready') void this.#feeds.get(accountId)?.check();
      }),
    ];
  }

  /** Resolves when nothing from here on will be missed. */
  async subscribe(accountId: AccountId, deliver: Deliver): Promise<void> {
    let feed = this.#feeds.get(accountId);
    if (feed === undefined) {
      feed = new AccountFeed(accountId, this.door, this.clock);
      this.#feeds.set(accountId, feed);
    }
    feed.subscribers.add(deliver);
    await feed.opened();
  }

  unsubscribe(accountId: AccountId, deliver: Deliver): void {
    const feed = this.#feeds.get(accountId);
    if (feed?.subscribers.delete(deliver) !== true || feed.subscribers.size > 0) return;
    feed.close();
    this.#feeds.delete(accountId);
  }

  /**
   * What happened after a place, until now or later. When a worker died all its readers ask, and most stand at the same place.
   * @throws GatewayError DEADLINE_EXCEEDED, PEER_GONE
   */
  after(accountId: AccountId, after: EventPosition): Promise<readonly PlacedRecord[]> {
    return this.#questions.ask(`${accountId} ${after.epoch} ${after.seq}`, async () =>
      placedRecords(accountId, await this.door.resume(accountId, after, { deadlineMs: RESUME_DEADLINE_MS })),
    );
  }

  listenToStatus(accountId: AccountId, hear: HearStatus): void {
    const listeners = this.#statusListeners.get(accountId) ?? new Set();
    listeners.add(hear);
    this.#statusListeners.set(accountId, listeners);
  }

  stopListening(accountId: AccountId, hear: HearStatus): void {
    const listeners = this.#statusListeners.get(accountId);
    if (listeners?.delete(hear) === true && listeners.size === 0) this.#statusListeners.delete(accountId);
  }

  /** Run at intervals: a lost last event shows only by asking. */
  async checkAll(): Promise<void> {
    for (const feed of [...this.#feeds.values()]) await feed.check();
  }

  close(): void {
    for (const leave of this.#leave) leave();
    for (const feed of this.#feeds.values()) feed.close();
    this.#feeds.clear();
    this.#statusListeners.clear();
  }
}
