/**
 * Everything that may cross into a thread and back: data only. A task's bytes are transferred, not copied, so whoever
 * sends one must not read its buffers afterwards.
 */
import type { RecordKind } from '../kernel/shared-memory/quote-table.js';

/** Where records of a page came from: stamped on every record. */
export interface TaskOrigin {
  readonly source: string;
  readonly feed: string;
}

/** What is known of one symbol of a batch before the table is read; the index into `SYMBOL_STATES` is what travels. */
export const SYMBOL_STATES = ['aging', 'live', 'gap', 'malformed', 'unknown', 'failed'] as const;
export type SymbolState = (typeof SYMBOL_STATES)[number];

export interface ComposeTask {
  readonly kind: 'compose';
  readonly table: { readonly directory: string; readonly sizeMb: number };
  readonly recordKind: RecordKind;
  readonly feed: string;
  /** Name of the list in the answer: `quotes`, `snapshots`. */
  readonly listName: string;
  readonly symbols: readonly string[];
  /** One byte a symbol: index into SYMBOL_STATES. */
  readonly states: Uint8Array;
  /** Why `failed` symbols failed. */
  readonly failure?: { readonly code: string; readonly detail: string };
  /** Wall clock of the asker: threads have no clock. */
  readonly now: number;
  readonly maxAgeMs: number;
  /** Memory of an earlier answer, to be filled again where it is large enough. */
  readonly room?: Uint8Array;
  /** The second pass: whatever is still missing gets an error entry, whatever is old is said to be stale. */
  readonly isFinal: boolean;
}

/** One page of latest values or snapshots, turned into table records. */
export interface LatestTask {
  readonly kind: 'latest';
  readonly recordKind: RecordKind;
  readonly page: Uint8Array;
  readonly origin: TaskOrigin;
  readonly receivedAt: number;
}

/** One page of the broker's, in the pieces in which it came from the socket. */
export type Page = readonly Uint8Array[];

/** Put together only when it came in more than one piece. */
export function wholePage(page: Page): Buffer {
  const [only] = page;
  if (only === undefined || page.length > 1) return Buffer.concat(page);
  return Buffer.from(only.buffer, only.byteOffset, only.byteLength);
}

export interface BarsTask {
  readonly kind: 'bars';
  readonly symbol: string;
  readonly timeframe: string;
  /** Alpaca's pages in their order. */
  readonly pages: readonly Page[];
  readonly origin: TaskOrigin;
}

export interface OptionBarsTask {
  readonly kind: 'option-bars';
  readonly symbols: readonly string[];
  readonly timeframe: string;
  readonly pages: readonly Page[];
  readonly origin: TaskOrigin;
}

export interface ChainTask {
  readonly kind: 'chain';
  readonly underlying: string;
  /** In any order; a contract on two pages is kept once. */
  readonly pages: readonly Page[];
  readonly grouped: boolean;
  readonly origin: TaskOrigin;
}

export type Task = ComposeTask | LatestTask | BarsTask | OptionBarsTask | ChainTask;

export interface ComposedResult {
  readonly kind: 'composed';
  /** Absent when symbols are missing on a first pass. */
  readonly body?: Uint8Array;
  /** Indexes of the symbols that must be fetched first. */
  readonly missing: readonly number[];
}

export interface RecordsResult {
  readonly kind: 'records';
  /** Written by `packRecords`. */
  readonly packed: Uint8Array;
}

export interface BodyResult {
  readonly kind: 'body';
  readonly body: Uint8Array;
  /** The same bytes compressed; only where that is worth its time. */
  readonly gzip?: Uint8Array;
  readonly etag: string;
  readonly count: number;
  /** Contracts per expiration date, for the next fetch of the same chain. */
  readonly expirations?: Readonly<Record<string, number>>;
}

export type TaskResult = ComposedResult | RecordsResult | BodyResult;

export type ResultOf<T extends Task> = T extends ComposeTask
  ? ComposedResult
  : T extends LatestTask
    ? RecordsResult
    : BodyResult;

/** Runs a task where it stands. The same function serves a thread, a worker that has none, and a test. */
export type RunTask = (task: Task) => TaskResult;

export interface PackedRecord {
  readonly symbol: string;
  readonly recordKind: RecordKind;
  /** A table value (quote-table.ts). */
  readonly value: Buffer;
}

/** Reads what `packRecords` wrote; values are views into `packed`. */
export function* unpackRecords(packed: Uint8Array): Generator<PackedRecord> {
  const bytes = Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength);
  let at = 0;
  while (at < bytes.length) {
    const headLength = bytes.readUInt16BE(at);
    const valueLength = bytes.readUInt32BE(at + 2);
    const head = bytes.toString('latin1', at + 6, at + 6 + headLength);
    const border = head.indexOf(' ');
    const start = at + 6 + headLength;
    yield {
      recordKind: head.slice(0, border) as RecordKind,
      symbol: head.slice(border + 1),
      value: bytes.subarray(start, start + valueLength),
    };
    at = start + valueLength;
  }
}

/** Many small table values as one buffer, so that a thread hands over one transfer instead of a thousand copies. */
export function packRecords(records: readonly PackedRecord[]): Uint8Array {
  const heads = records.map((record) => `${record.recordKind} ${record.symbol}`);
  const total = records.reduce((sum, record, index) => sum + 6 + (heads[index]?.length ?? 0) + record.value.length, 0);
  const packed = Buffer.from(new ArrayBuffer(total));
  let at = 0;
  for (const [index, record] of records.entries()) {
    const head = heads[index] ?? '';
    packed.writeUInt16BE(head.length, at);
    packed.writeUInt32BE(record.value.length, at + 2);
    packed.write(head, at + 6, 'latin1');
    packed.set(record.value, at + 6 + head.length);
    at += 6 + head.length + record.value.length;
  }
  return packed;
}
