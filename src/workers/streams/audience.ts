/**
 * Readers with the same subscriptions. A frame is put together once for all that keep up. One that does not is set aside: it
 * costs nothing until it has room again, and then gets the newest record of each topic that it missed; nothing queues for it.
 */
import type { FeedChannel, FeedRecord } from '../market-data/market-data-feed.js';

export interface MarketReader {
  /** False: the reader is full or late, nothing was taken. */
  takeFrame(frame: Buffer, records: number): boolean;
  /** Room for a frame again. */
  hasRoom(): boolean;
}

/** `channel symbol` */
export type Topic = string;

/** The newest record of each topic that a reader has not had. */
export type Owed = ReadonlyMap<Topic, FeedRecord>;

export function topicOf(channel: FeedChannel, symbol: string): Topic {
  return `${channel} ${symbol}`;
}

interface SetAside {
  /** The last flush that it had. */
  readonly version: number;
  /** Records of this audience until then. */
  readonly records: number;
  /** From an audience that it was in before. */
  readonly carried: Owed;
}

const NOTHING: Owed = new Map();

export class Audience {
  readonly #current = new Set<MarketReader>();
  readonly #aside = new Map<MarketReader, SetAside>();
  /** Kept only while somebody is set aside. */
  readonly #newest = new Map<Topic, { readonly record: FeedRecord; readonly version: number }>();
  #pending: FeedRecord[] = [];
  #version = 0;
  #records = 0;

  constructor(
    readonly profile: string,
    readonly topics: ReadonlySet<Topic>,
    private readonly onConflated: (records: number) => void,
  ) {}

  get isEmpty(): boolean {
    return this.#current.size + this.#aside.size === 0;
  }

  /** Whether somebody waits for room. */
  get hasAside(): boolean {
    return this.#aside.size > 0;
  }

  push(record: FeedRecord): void {
    this.#pending.push(record);
  }

  /** @param owed what it is owed by the audience that it comes from */
  add(reader: MarketReader, owed: Owed = NOTHING): void {
    if (owed.size === 0) this.#current.add(reader);
    else this.#aside.set(reader, { version: this.#version, records: this.#records, carried: owed });
  }

  /** @returns what it was still owed */
  remove(reader: MarketReader): Owed {
    this.#current.delete(reader);
    const place = this.#aside.get(reader);
    if (place === undefined) return NOTHING;
    const owed = this.#owedTo(place);
    this.#aside.delete(reader);
    this.#forgetIfNobodyWaits();
    return owed;
  }

  flush(): void {
    if (this.#pending.length === 0) return;
    const pending = this.#pending;
    this.#pending = [];
    const place: SetAside = { version: this.#version, records: this.#records, carried: NOTHING };
    this.#version += 1;
    this.#records += pending.length;
    if (this.#current.size > 0) {
      const frame = frameOf(pending);
      for (const reader of this.#current) {
        if (reader.takeFrame(frame, pending.length)) continue;
        this.#current.delete(reader);
        this.#aside.set(reader, place);
      }
    }
    if (this.#aside.size === 0) return;
    for (const record of pending)
      this.#newest.set(topicOf(record.channel, record.symbol), { record, version: this.#version });
  }

  /** Those that have room again get what they missed and keep up from here on. */
  catchUp(): void {
    for (const [reader, place] of this.#aside) {
      if (!reader.hasRoom()) continue;
      const owed = this.#owedTo(place);
      if (owed.size > 0 && !reader.takeFrame(frameOf([...owed.values()]), owed.size)) continue;
      this.#aside.delete(reader);
      this.#current.add(reader);
      const conflated = this.#records - place.records + place.carried.size - owed.size;
      if (conflated > 0) this.onConflated(conflated);
    }
    this.#forgetIfNobodyWaits();
  }

  #owedTo({ version: had, carried }: SetAside): Owed {
    const owed = new Map(carried);
    for (const [topic, { record, version }] of this.#newest) if (version > had) owed.set(topic, record);
    return owed;
  }

  #forgetIfNobodyWaits(): void {
    if (this.#aside.size === 0) this.#newest.clear();
  }
}

function frameOf(records: readonly FeedRecord[]): Buffer {
  const [first] = records;
  if (records.length === 1 && first !== undefined) return Buffer.from(first.json);
  return Buffer.from(`[${records.map((record) => record.json).join(',')}]`);
}
