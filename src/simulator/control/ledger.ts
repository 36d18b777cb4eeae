/**
 * Everything that arrived at the venue, in the order it arrived: the witness that tests ask. Append-only; a full one
 * drops its oldest entries and says how many (`dropped`). In `count` mode it keeps numbers only, for load.
 */
import { performance } from 'node:perf_hooks';

export interface LedgerEntry {
  /** Rises by one per arrival, from 1; the cursor for `since`. */
  readonly seq: number;
  /** Venue wall time in milliseconds when the whole request had arrived. */
  readonly at: number;
  /** Monotonic milliseconds of the simulator's process. */
  readonly monotonicMs: number;
  readonly method: string;
  readonly path: string;
  readonly query: string;
  /** Names and values exactly as received, duplicates included, in their order. */
  readonly headers: readonly (readonly [string, string])[];
  readonly body: string;
  /** Byte-exact. */
  readonly bodyBase64: string;
  readonly accountId: string | undefined;
  /** Numbered per accepted TCP connection. */
  readonly socketId: number;
  /** From the body of an order request. */
  readonly clientOrderId: string | undefined;
  /** Orders that this request created at the venue; filled in late when a switch delays acceptance. */
  orderIds: string[];
  /** `answered`, or the fault that happened instead. */
  outcome: string;
  /** HTTP status written, when one was. */
  status: number | undefined;
}

export interface LedgerFilter {
  /** Only entries with a higher seq. */
  readonly since?: number;
  readonly accountId?: string;
  readonly method?: string;
  /** Exact path, or a prefix when it ends in `*`. */
  readonly path?: string;
  readonly clientOrderId?: string;
  readonly limit?: number;
}

export interface LedgerPage {
  readonly entries: readonly LedgerEntry[];
  /** Use as the next `since`. */
  readonly lastSeq: number;
  /** Entries forgotten because the ledger was full. */
  readonly dropped: number;
}

export interface LedgerOptions {
  readonly mode?: 'full' | 'count';
  /** Entries kept in full mode; 200 000 unless given. */
  readonly entriesMax?: number;
}

export class Ledger {
  #mode: 'full' | 'count';
  readonly #entriesMax: number;
  readonly #entries: LedgerEntry[] = [];
  #lastSeq = 0;
  #dropped = 0;

  constructor({ mode = 'full', entriesMax = 200_000 }: LedgerOptions = {}) {
    this.#mode = mode;
    this.#entriesMax = entriesMax;
  }

  get lastSeq(): number {
    return this.#lastSeq;
  }

  setMode(mode: 'full' | 'count'): void {
    this.#mode = mode;
  }

  /** Headers and body are passed raw, so that counting mode never copies them. */
  record(arrival: {
    readonly at: number;
    readonly method: string;
    readonly path: string;
    readonly query: string;
    readonly rawHeaders: readonly string[];
    readonly body: Buffer;
    readonly accountId: string | undefined;
    readonly socketId: number;
    readonly clientOrderId: string | undefined;
  }): LedgerEntry {
    this.#lastSeq += 1;
    const isFull = this.#mode === 'full';
    const entry: LedgerEntry = {
      seq: this.#lastSeq,
      at: arrival.at,
      monotonicMs: performance.now(),
      method: arrival.method,
      path: arrival.path,
      query: arrival.query,
      headers: isFull ? pairs(arrival.rawHeaders) : [],
      body: isFull ? arrival.body.toString('utf8') : '',
      bodyBase64: isFull ? arrival.body.toString('base64') : '',
      accountId: arrival.accountId,
      socketId: arrival.socketId,
      clientOrderId: arrival.clientOrderId,
      orderIds: [],
      outcome: 'pending',
      status: undefined,
    };
    if (isFull) this.#keep(entry);
    return entry;
  }

  list(filter: LedgerFilter = {}): LedgerPage {
    const { since = 0, limit = Infinity } = filter;
    const entries: LedgerEntry[] = [];
    for (const entry of this.#entries) {
      if (entries.length >= limit) break;
      if (entry.seq > since && isWanted(entry, filter)) entries.push(entry);
    }
    const last = entries.length >= limit ? entries.at(-1) : undefined;
    return { entries, lastSeq: last?.seq ?? this.#lastSeq, dropped: this.#dropped };
  }

  clear(): void {
    this.#entries.length = 0;
  }

  #keep(entry: LedgerEntry): void {
    if (this.#entries.length >= this.#entriesMax) {
      // A tenth at a time: dropping one by one would move the whole array for each request.
      const tenth = Math.max(1, Math.floor(this.#entriesMax / 10));
      this.#entries.splice(0, tenth);
      this.#dropped += tenth;
    }
    this.#entries.push(entry);
  }
}

function isWanted(entry: LedgerEntry, filter: LedgerFilter): boolean {
  if (filter.accountId !== undefined && entry.accountId !== filter.accountId) return false;
  if (filter.method !== undefined && entry.method !== filter.method) return false;
  if (filter.clientOrderId !== undefined && entry.clientOrderId !== filter.clientOrderId) return false;
  if (filter.path === undefined) return true;
  return filter.path.endsWith('*') ? entry.path.startsWith(filter.path.slice(0, -1)) : entry.path === filter.path;
}

function pairs(raw: readonly string[]): (readonly [string, string])[] {
  const list: (readonly [string, string])[] = [];
  for (let at = 0; at + 1 < raw.length; at += 2) list.push([raw[at] ?? '', raw[at + 1] ?? '']);
  return list;
}
