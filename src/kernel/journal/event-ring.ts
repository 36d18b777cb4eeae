/**
 * An account's numbered order events: a ring in the journal that outlives its worker. Numbers have no holes within an
 * epoch; what the ring no longer holds is named as a gap, never skipped.
 */
import { GatewayError } from '../domain/errors.js';
import type { AccountId } from '../domain/identifiers.js';
import type { EventPosition, OrderEvent, ResumedEvents } from '../domain/order-event.js';
import { decodeRecord, encodeRecord } from './record-codec.js';
import type { Store, StoreWrite } from './store.js';

interface EpochRange {
  readonly epoch: number;
  /** The oldest held; above `last` when none is held any more. */
  first: number;
  last: number;
}

type Gap = ResumedEvents['gaps'][number];

/** Older epochs are forgotten; a resume from one of them is answered with a gap of unknown length. */
const EPOCHS_REMEMBERED = 64;

export class EventRing {
  readonly #ranges: EpochRange[];
  readonly #prefix: string;
  /** Of epochs that are remembered no longer: nobody would ever take them away. */
  readonly #left: readonly EpochRange[];
  #held: number;
  #settled: number;

  /** @throws GatewayError JOURNAL_BROKEN */
  constructor(
    private readonly store: Store,
    private readonly accountId: AccountId,
    epoch: number,
    private readonly size: number,
  ) {
    this.#prefix = `${accountId}/e/`;
    this.#ranges = this.#load();
    if (this.#ranges.at(-1)?.epoch !== epoch) this.#ranges.push({ epoch, first: 1, last: 0 });
    this.#left = this.#ranges.splice(0, this.#ranges.length - EPOCHS_REMEMBERED);
    this.#settled = this.#current().last;
    this.#held = this.#ranges.reduce((sum, range) => sum + range.last - range.first + 1, 0);
  }

  /** To be committed when the account is adopted: ranges of epochs whose events are all gone would be lost otherwise. */
  adoptionWrites(): readonly StoreWrite[] {
    const key = `${this.accountId}/r`;
    const writes: StoreWrite[] = [{ key, value: encodeRecord(key, this.#ranges) }];
    for (const { epoch, first, last } of this.#left)
      for (let seq = first; seq <= last; seq += 1) writes.push({ key: this.#keyOf(epoch, seq) });
    return writes;
  }

  /**
   * The last event that `after` can tell. One that is numbered and still on its way to the disk is not counted: whoever
   * began to listen from its place would never be told it.
   */
  position(): EventPosition {
    return { epoch: this.#current().epoch, seq: this.#settled };
  }

  /** Whether any event of the account is held, of whichever epoch. */
  hasEvents(): boolean {
    return this.#held > 0;
  }

  /** The event's commit has ended, well or not. */
  settle(seq: number): void {
    this.#settled = Math.max(this.#settled, seq);
  }

  /** Numbers the event and says what to commit for it; the oldest makes room in the same commit. */
  append(event: Omit<OrderEvent, 'accountId' | 'epoch' | 'seq'>): {
    readonly event: OrderEvent;
    readonly writes: readonly StoreWrite[];
  } {
    const current = this.#current();
    current.last += 1;
    this.#held += 1;
    const numbered = { accountId: this.accountId, epoch: current.epoch, seq: current.last, ...event };
    const key = this.#keyOf(current.epoch, current.last);
    const writes: StoreWrite[] = [{ key, value: encodeRecord(key, numbered) }];
    while (this.#held > this.size) writes.push({ key: this.#evictOldest() });
    return { event: numbered, writes };
  }

  /** @throws GatewayError JOURNAL_BROKEN */
  after(position: EventPosition): ResumedEvents {
    const gaps: Gap[] = [];
    const events: OrderEvent[] = [];
    const oldest = this.#ranges[0];
    // Epoch 0 is before the first: whoever asks from there wants all that is held, and misses nothing by name.
    const isForgotten = position.epoch > 0 && position.epoch < (oldest?.epoch ?? 0);
    if (isForgotten && !this.#ranges.some((range) => range.epoch === position.epoch)) {
      gaps.push({ epoch: position.epoch, from: position.seq + 1, to: position.seq + 1 });
    }
    for (const range of this.#ranges.filter((each) => each.epoch >= position.epoch)) {
      const from = range.epoch === position.epoch ? position.seq + 1 : 1;
      if (from < range.first && from <= range.last) {
        gaps.push({ epoch: range.epoch, from, to: Math.min(range.first - 1, range.last) });
      }
      for (let seq = Math.max(from, range.first); seq <= range.last; seq += 1) {
        const event = this.#read(range.epoch, seq);
        // Numbered, and not on disk yet: its listeners will be told when it is.
        if (event !== undefined) events.push(event);
      }
    }
    return { events, gaps };
  }

  #current(): EpochRange {
    const current = this.#ranges.at(-1);
    if (current === undefined)
      throw new GatewayError('ASSERTION_FAILED', {}, { message: 'an event ring always has a current epoch' });
    return current;
  }

  #evictOldest(): string {
    const range = this.#ranges.find((each) => each.first <= each.last) ?? this.#current();
    const key = this.#keyOf(range.epoch, range.first);
    range.first += 1;
    this.#held -= 1;
    return key;
  }

  #read(epoch: number, seq: number): OrderEvent | undefined {
    const key = this.#keyOf(epoch, seq);
    const bytes = this.store.get(key);
    return bytes === undefined ? undefined : (decodeRecord(key, bytes) as OrderEvent);
  }

  #keyOf(epoch: number, seq: number): string {
    return `${this.#prefix}${String(epoch).padStart(16, '0')}/${String(seq).padStart(12, '0')}`;
  }

  /**
   * What was remembered at the last adoption, moved on by what has happened since: the last remembered epoch grew, and the
   * oldest events made room. The events in between are not read: an account that changes hands waits for this.
   */
  #load(): EpochRange[] {
    const key = `${this.accountId}/r`;
    const bytes = this.store.get(key);
    const remembered = bytes === undefined ? [] : (decodeRecord(key, bytes) as EpochRange[]);
    const bounds = this.store.bounds(this.#prefix);
    if (bounds === undefined) return remembered.map(({ epoch, last }) => ({ epoch, first: last + 1, last }));
    const [oldest, newest] = [this.#placeOf(bounds.first), this.#placeOf(bounds.last)];
    return remembered.map(({ epoch, first, last }) => {
      const end = epoch === newest.epoch ? Math.max(last, newest.seq) : last;
      if (epoch > oldest.epoch) return { epoch, first, last: end };
      return { epoch, first: epoch === oldest.epoch ? oldest.seq : end + 1, last: end };
    });
  }

  #placeOf(key: string): EventPosition {
    const [epoch, seq] = key.slice(this.#prefix.length).split('/');
    return { epoch: Number(epoch), seq: Number(seq) };
  }
}
