/**
 * One account's order events for all subscribers of this worker, without a hole. It is in one of these states:
 *
 * - opening: asks the owner where the account stands. What arrives meanwhile waits.
 * - live: entered when the place is known. The successor of the last event passes at once; an older one is dropped.
 * - repairing: entered by a hole, a new epoch (the old one may have had a tail) or a check that found us behind. What
 *   lies between is asked of the owner, again until it answers; what it no longer has is said as a gap. What arrives
 *   meanwhile waits; when too much waits it is dropped, since the owner's ring has it.
 * - closed: the last subscriber left.
 */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { EventPosition, OrderEvent, ResumedEvents } from '../../kernel/domain/order-event.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { OrderEventsDoor } from '../routing/order-events-door.js';
import { gapText, orderText } from './order-record.js';

/** A record on its way to a subscriber, with its place when it is an event. */
export interface PlacedRecord {
  readonly text: string;
  readonly position: EventPosition;
}

export type Deliver = (accountId: AccountId, record: PlacedRecord) => void;

const CALL_DEADLINE_MS = 2_000;
const RETRY_MS = 250;
const WAITING_MAX = 2_000;

export class AccountFeed {
  readonly subscribers = new Set<Deliver>();
  readonly #stop = new AbortController();
  readonly #opened: Promise<void>;
  #state: 'opening' | 'live' | 'repairing' | 'closed' = 'opening';
  #last: EventPosition = { epoch: 0, seq: 0 };
  #waiting: OrderEvent[] = [];

  constructor(
    private readonly accountId: AccountId,
    private readonly door: OrderEventsDoor,
    private readonly clock: Clock,
  ) {
    this.#opened = this.#open();
  }

  /** Resolves when a subscriber added now will miss nothing from here on. */
  opened(): Promise<void> {
    return this.#opened;
  }

  take(event: OrderEvent): void {
    if (this.#state === 'closed') return;
    if (this.#state !== 'live') {
      if (this.#waiting.length >= WAITING_MAX) this.#waiting = [];
      this.#waiting.push(event);
      return;
    }
    if (!isAfter(event, this.#last)) return;
    if (event.epoch === this.#last.epoch && event.seq === this.#last.seq + 1) {
      this.#pass(event);
      return;
    }
    this.#waiting.push(event);
    void this.#repair();
  }

  /** Finds a lost tail: nothing that follows would show it. */
  async check(): Promise<void> {
    if (this.#state !== 'live') return;
    const position = await this.door.position(this.accountId, { deadlineMs: CALL_DEADLINE_MS }).catch(() => undefined);
    if (position !== undefined && this.#isLive() && isAfter(position, this.#last)) await this.#repair();
  }

  close(): void {
    this.#state = 'closed';
    this.#stop.abort();
    this.#waiting = [];
  }

  #isLive(): boolean {
    return this.#state === 'live';
  }

  async #open(): Promise<void> {
    const position = await this.#untilAnswered(() =>
      this.door.position(this.accountId, { deadlineMs: CALL_DEADLINE_MS }),
    );
    if (position === undefined) return;
    this.#last = position;
    this.#goLive();
  }

  async #repair(): Promise<void> {
    this.#state = 'repairing';
    const resumed = await this.#untilAnswered(() =>
      this.door.resume(this.accountId, this.#last, { deadlineMs: CALL_DEADLINE_MS }),
    );
    if (resumed === undefined) return;
    for (const record of placedRecords(this.accountId, resumed)) {
      if (isAfter(record.position, this.#last)) this.#last = record.position;
      for (const deliver of this.subscribers) deliver(this.accountId, record);
    }
    this.#goLive();
  }

  #goLive(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#state = 'live';
    for (const event of waiting) this.take(event);
  }

  #pass(event: OrderEvent): void {
    this.#last = { epoch: event.epoch, seq: event.seq };
    const record = { text: orderText(event), position: this.#last };
    for (const deliver of this.subscribers) deliver(this.accountId, record);
  }

  async #untilAnswered<T>(ask: () => Promise<T>): Promise<T | undefined> {
    while (!this.#stop.signal.aborted) {
      try {
        return await ask();
      } catch {
        // The owner is being replaced: its successor reads the same ring.
        await this.clock.sleep(RETRY_MS, this.#stop.signal);
      }
    }
    return undefined;
  }
}

/** Events and gaps in the order in which they happened. */
export function placedRecords(accountId: AccountId, resumed: ResumedEvents): readonly PlacedRecord[] {
  const events = resumed.events.map((event) => ({
    text: orderText(event),
    position: { epoch: event.epoch, seq: event.seq },
  }));
  const gaps = resumed.gaps.map((gap) => ({
    text: gapText(accountId, gap),
    position: { epoch: gap.epoch, seq: gap.to },
  }));
  return [...gaps, ...events].sort((a, b) => compare(a.position, b.position));
}

export function isAfter(a: EventPosition, b: EventPosition): boolean {
  return compare(a, b) > 0;
}

function compare(a: EventPosition, b: EventPosition): number {
  return a.epoch === b.epoch ? a.seq - b.seq : a.epoch - b.epoch;
}
