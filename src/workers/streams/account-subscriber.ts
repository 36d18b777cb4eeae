/**
 * One socket's order events, each exactly once and in order. Per account: `live`, records pass as they come; or
 * `resuming`, live records wait until those asked for by `resume` have passed.
 */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { EventPosition } from '../../kernel/domain/order-event.js';
import { isAfter, type Deliver, type PlacedRecord } from './account-feed.js';
import type { OrderFanOut } from './order-fan-out.js';

interface Reading {
  /** Last record handed to the socket: behind `last` while records wait for it. */
  sent: EventPosition | undefined;
  /** Last record passed; undefined until the first. */
  last: EventPosition | undefined;
  /** Live records that wait while the past is fetched. */
  held: PlacedRecord[] | undefined;
}

export class AccountSubscriber {
  readonly #readings = new Map<AccountId, Reading>();

  constructor(
    private readonly orders: OrderFanOut,
    private readonly pass: (text: string, onSent: () => void) => void,
    private readonly heldMax: number,
  ) {}

  async subscribe(accountId: AccountId): Promise<void> {
    if (!this.#readings.has(accountId))
      this.#readings.set(accountId, { sent: undefined, last: undefined, held: undefined });
    await this.orders.subscribe(accountId, this.#deliver);
  }

  /** The records after a place, to be given to `release`; undefined when the owner did not answer. */
  async resume(accountId: AccountId, after: EventPosition): Promise<readonly PlacedRecord[] | undefined> {
    const reading: Reading = { sent: after, last: after, held: [] };
    const before = this.#readings.get(accountId);
    this.#readings.set(accountId, reading);
    try {
      await this.orders.subscribe(accountId, this.#deliver);
      return await this.orders.after(accountId, after);
    } catch {
      if (before === undefined) this.unsubscribe(accountId);
      else this.#readings.set(accountId, { ...before, held: undefined });
      return undefined;
    }
  }

  /** Passes the past, then what was held meanwhile, and goes live. */
  release(accountId: AccountId, past: readonly PlacedRecord[]): void {
    const reading = this.#readings.get(accountId);
    if (reading === undefined) return;
    const held = reading.held ?? [];
    reading.held = undefined;
    for (const record of [...past, ...held]) this.#passOnce(reading, record);
  }

  unsubscribe(accountId: AccountId): void {
    this.#readings.delete(accountId);
    this.orders.unsubscribe(accountId, this.#deliver);
  }

  /** Where a client that is cut off should resume. */
  positions(): readonly { readonly account_id: AccountId; readonly epoch: number; readonly seq: number }[] {
    return [...this.#readings].flatMap(([accountId, { sent }]) =>
      sent === undefined ? [] : [{ account_id: accountId, epoch: sent.epoch, seq: sent.seq }],
    );
  }

  close(): void {
    for (const accountId of [...this.#readings.keys()]) this.unsubscribe(accountId);
  }

  readonly #deliver: Deliver = (accountId, record) => {
    const reading = this.#readings.get(accountId);
    if (reading === undefined) return;
    if (reading.held === undefined) {
      this.#passOnce(reading, record);
      return;
    }
    // Too much to hold: the past is asked for later than this record, and so will have it.
    if (reading.held.length >= this.heldMax) reading.held.shift();
    reading.held.push(record);
  };

  #passOnce(reading: Reading, record: PlacedRecord): void {
    if (reading.last !== undefined && !isAfter(record.position, reading.last)) return;
    reading.last = record.position;
    this.pass(record.text, () => (reading.sent = record.position));
  }
}
