/**
 * The hub's side of the table: records are staged, the newest of a key wins, and one transaction carries what piled up
 * while the last one was written. Bounded: past `entriesMax` the key that was written longest ago leaves.
 */
import { encodeRecord, type QuoteTable } from './quote-table.js';

export interface TableWriterOptions {
  readonly entriesMax: number;
  /** Called with the cause when a transaction failed; what it carried is lost to readers until its next update. */
  readonly onFailure: (cause: unknown) => void;
  /** Called after each transaction with how many records it carried, and for how long the first of them had waited. */
  readonly onWritten?: (records: number, lagMs: number) => void;
  /** What the lag is measured with; without it there is none. */
  readonly monotonicMs?: () => number;
}

export class TableWriter {
  /** Keys in the order of their last write: the first is the one to evict. */
  readonly #order = new Map<string, true>();
  #staged = new Map<string, Buffer>();
  /** In the transaction under way. */
  #leaving: ReadonlyMap<string, Buffer> = new Map();
  #stagedAt = 0;
  #writing: Promise<void> | undefined;
  #wasClosed = false;

  constructor(
    private readonly table: QuoteTable,
    private readonly options: TableWriterOptions,
  ) {
    // A successor takes over what its predecessor left, eviction included.
    for (const key of table.keys()) this.#order.set(key, true);
  }

  put(key: string, receivedAt: number, text: string): void {
    this.putEncoded(key, encodeRecord(receivedAt, text));
  }

  putEncoded(key: string, value: Buffer): void {
    if (this.#wasClosed) return;
    if (this.#staged.size === 0) this.#stagedAt = this.#now();
    this.#staged.set(key, value);
    this.#writing ??= this.#writeAll();
  }

  /** The newest value of a key, also when no reader can see it yet. */
  latest(key: string): Buffer | undefined {
    return this.#staged.get(key) ?? this.#leaving.get(key);
  }

  /** Resolves when everything staged so far can be read by all. */
  async flushed(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async close(): Promise<void> {
    this.#wasClosed = true;
    await this.flushed();
  }

  async #writeAll(): Promise<void> {
    // Out of the event that woke us: a whole frame of updates goes into one transaction.
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
    while (this.#staged.size > 0) {
      const [batch, stagedAt] = [this.#staged, this.#stagedAt];
      this.#staged = new Map();
      this.#leaving = batch;
      const evicted = this.#touch(batch.keys());
      try {
        await this.table.write(batch, evicted);
        this.options.onWritten?.(batch.size, this.#now() - stagedAt);
      } catch (cause) {
        this.options.onFailure(cause);
      }
    }
    this.#leaving = new Map();
    this.#writing = undefined;
  }

  #now(): number {
    return this.options.monotonicMs?.() ?? 0;
  }

  #touch(keys: Iterable<string>): string[] {
    for (const key of keys) {
      this.#order.delete(key);
      this.#order.set(key, true);
    }
    const evicted: string[] = [];
    for (const key of this.#order.keys()) {
      if (this.#order.size <= this.options.entriesMax) break;
      this.#order.delete(key);
      evicted.push(key);
    }
    return evicted;
  }
}
