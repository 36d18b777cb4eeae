/**
 * The latest record of every symbol in lmdb on tmpfs: one writer (the hub's process), any number of readers in any
 * worker or thread, none of whom locks. It survives the writer's death at any point, because lmdb changes pages by
 * copying them. It keeps no history and decides nothing about freshness.
 *
 * A value is 8 bytes of receive time (big-endian double, milliseconds of the wall clock) and the record's JSON text
 * without its closing brace (record-text.ts).
 */
import { open, type RootDatabase } from 'lmdb';
import { GatewayError } from '../domain/errors.js';

export type RecordKind = 'quote' | 'trade' | 'minute_bar' | 'daily_bar' | 'snapshot' | 'option_quote' | 'option_trade';

const KIND_TAG: Readonly<Record<RecordKind, string>> = {
  quote: 'q',
  trade: 't',
  minute_bar: 'm',
  daily_bar: 'd',
  snapshot: 's',
  option_quote: 'oq',
  option_trade: 'ot',
};

const RECEIVED_AT_BYTES = 8;
/** More readers than workers and threads can ever be on one machine; a slot is a cache line. */
const READERS_MAX = 1_024;

export function recordKey(kind: RecordKind, feed: string, symbol: string): string {
  return `${KIND_TAG[kind]}@${feed}:${symbol}`;
}

export interface TableRecord {
  /** Wall clock milliseconds at the gateway. */
  readonly receivedAt: number;
  /** UTF-8 JSON without the closing brace. Valid until the next read only: copy what you keep. */
  readonly text: Uint8Array;
}

export class QuoteTable {
  readonly #db: RootDatabase<Buffer, string>;

  private constructor(db: RootDatabase<Buffer, string>) {
    this.#db = db;
  }

  /** @throws GatewayError SHARED_MEMORY_BROKEN */
  static open(directory: string, sizeMb: number): QuoteTable {
    try {
      return new QuoteTable(
        open<Buffer, string>({
          path: `${directory}/quotes.mdb`,
          noSubdir: true,
          encoding: 'binary',
          mapSize: sizeMb * 1_048_576,
          maxReaders: READERS_MAX,
          // Memory is all this is: nothing to sync, and an unsynced page survives the death of a process.
          noSync: true,
          overlappingSync: false,
          noMemInit: true,
          // Keys are short ASCII; a value is replaced as a whole.
          useVersions: false,
        }),
      );
    } catch (cause) {
      throw new GatewayError('SHARED_MEMORY_BROKEN', { directory }, { cause });
    }
  }

  read(key: string): TableRecord | undefined {
    const value = this.#db.getBinaryFast(key);
    if (value === undefined || value.length <= RECEIVED_AT_BYTES) return undefined;
    return decodeRecord(value);
  }

  /**
   * The next read sees everything written up to now. Without this it may see the table as it was at the first read of
   * this turn of the event loop: lmdb keeps a snapshot that long, which is what makes reads cheap.
   */
  refresh(): void {
    this.#db.resetReadTxn();
  }

  /**
   * The record as a finished JSON object ending in `tail` (which closes the brace), in memory of its own.
   * @param tail such as `,"age_ms":12}`
   */
  finished(record: TableRecord, tail: string): Buffer {
    const body = Buffer.allocUnsafe(record.text.length + tail.length);
    body.set(record.text, 0);
    body.write(tail, record.text.length, 'latin1');
    return body;
  }

  /** Writes all of it in one transaction. For the hub alone. @throws GatewayError SHARED_MEMORY_BROKEN */
  async write(entries: Iterable<readonly [key: string, value: Buffer]>, removed: Iterable<string> = []): Promise<void> {
    try {
      await this.#db.batch(() => {
        for (const [key, value] of entries) void this.#db.put(key, value);
        for (const key of removed) void this.#db.remove(key);
      });
    } catch (cause) {
      throw new GatewayError('SHARED_MEMORY_BROKEN', {}, { cause });
    }
  }

  keys(): string[] {
    return [...this.#db.getKeys()];
  }

  async close(): Promise<void> {
    await this.#db.close();
  }
}

/** What `encodeRecord` made. */
export function decodeRecord(value: Buffer): TableRecord {
  // lmdb hands out its read buffer with a `length` of its own; without an end, Node 24 takes the whole buffer (16 MB).
  return { receivedAt: value.readDoubleBE(0), text: value.subarray(RECEIVED_AT_BYTES, value.length) };
}

/** A record as the table stores it. */
export function encodeRecord(receivedAt: number, text: string): Buffer {
  const value = Buffer.allocUnsafe(RECEIVED_AT_BYTES + Buffer.byteLength(text));
  value.writeDoubleBE(receivedAt, 0);
  value.write(text, RECEIVED_AT_BYTES);
  return value;
}
