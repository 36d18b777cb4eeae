/**
 * The journal's disk: one lmdb environment, synced at every commit. All commits asked for in one turn of the event
 * loop, or while one is being synced, share the next sync. A failed sync ends it (docs/order-protocol.md R13): nobody
 * can tell what is on disk, so nothing more is written until the environment has been opened anew. A full disk does
 * not: the commit was undone.
 */
import { mkdirSync, statfsSync } from 'node:fs';
import { open, type RootDatabase } from 'lmdb';
import { GatewayError } from '../domain/errors.js';
import type { Clock } from '../runtime/clock.js';
import type { KeyBounds, Store, StoreWrite } from './store.js';

export interface LmdbStoreOptions {
  readonly dir: string;
  readonly readOnly: boolean;
  /** Below this much free space new intents are refused, so that outcomes under way still fit. */
  readonly freeBytesMin: number;
  readonly onCommitted?: (spentMs: number) => void;
}

const MAP_BYTES_INITIAL = 1 << 26;
const FULL_BELOW_BYTES = 1 << 20;
const FREE_SPACE_ASKED_EVERY_MS = 1000;

export class LmdbStore implements Store {
  readonly #db: RootDatabase<Buffer, string>;
  #broken: string | undefined;
  #space: { readonly askedAt: number; readonly trouble: string | undefined } | undefined;

  /** @throws GatewayError JOURNAL_BROKEN */
  constructor(
    private readonly options: LmdbStoreOptions,
    private readonly clock: Clock,
  ) {
    try {
      if (!options.readOnly) mkdirSync(options.dir, { recursive: true, mode: 0o700 });
      this.#db = open<Buffer, string>({
        path: options.dir,
        noSubdir: false,
        encoding: 'binary',
        readOnly: options.readOnly,
        // A commit resolves only after the sync: an order leaves on the strength of it.
        overlappingSync: false,
        mapSize: MAP_BYTES_INITIAL,
        remapChunks: false,
      });
    } catch (cause) {
      throw new GatewayError('JOURNAL_BROKEN', { dir: options.dir }, { cause });
    }
  }

  get(key: string): Uint8Array | undefined {
    return this.#reading(key, () => this.#db.get(key));
  }

  range(prefix: string): Iterable<{ readonly key: string; readonly value: Uint8Array }> {
    const end = endOf(prefix);
    return this.#reading(prefix, () =>
      [...this.#db.getRange({ start: prefix, end })].map(({ key, value }) => ({ key, value: Uint8Array.from(value) })),
    );
  }

  bounds(prefix: string): KeyBounds | undefined {
    const end = endOf(prefix);
    return this.#reading(prefix, () => {
      const [first] = this.#db.getKeys({ start: prefix, end, limit: 1 });
      const [last] = this.#db.getKeys({ start: end, exclusiveStart: true, end: prefix, reverse: true, limit: 1 });
      return first === undefined || last === undefined ? undefined : { first, last };
    });
  }

  async commit(writes: readonly StoreWrite[]): Promise<void> {
    if (this.#broken !== undefined) throw new GatewayError('JOURNAL_BROKEN', { trouble: this.#broken });
    const beganAt = this.clock.monotonicMs();
    // Each of them fails with its batch, and none may fail unheard: that would end the process.
    const parts: Promise<unknown>[] = [];
    const batch = this.#db.batch(() => {
      for (const { key, value } of writes) {
        if (value === undefined) parts.push(this.#db.remove(key));
        else parts.push(this.#db.put(key, Buffer.from(value.buffer, value.byteOffset, value.byteLength)));
      }
    });
    try {
      await Promise.all([batch, ...parts]);
      this.options.onCommitted?.(this.clock.monotonicMs() - beganAt);
    } catch (failure) {
      const cause = await reasonOf(failure);
      if (!isFull(cause) && !this.#isDiskFull()) this.#broken = 'a write to the journal failed';
      throw new GatewayError('JOURNAL_BROKEN', { dir: this.options.dir }, { cause });
    }
  }

  trouble(): string | undefined {
    if (this.#broken !== undefined) return this.#broken;
    const now = this.clock.monotonicMs();
    if (this.#space === undefined || now - this.#space.askedAt >= FREE_SPACE_ASKED_EVERY_MS) {
      this.#space = { askedAt: now, trouble: this.#spaceTrouble() };
    }
    return this.#space.trouble;
  }

  async close(): Promise<void> {
    await this.#db.close();
  }

  #spaceTrouble(): string | undefined {
    try {
      const { bavail, bsize } = statfsSync(this.options.dir);
      return bavail * bsize < this.options.freeBytesMin ? 'the disk of the journal is nearly full' : undefined;
    } catch {
      return 'the disk of the journal does not answer';
    }
  }

  /** lmdb tells a write that was cut short as EIO. Its meta page is written last, so what it cut short never was. */
  #isDiskFull(): boolean {
    try {
      const { bavail, bsize } = statfsSync(this.options.dir);
      return bavail * bsize < FULL_BELOW_BYTES;
    } catch {
      return false;
    }
  }

  #reading<T>(key: string, read: () => T): T {
    try {
      return read();
    } catch (cause) {
      throw new GatewayError('JOURNAL_BROKEN', { key }, { cause });
    }
  }
}

/** '0' follows '/' in every encoding: the end of the prefix's range. */
function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}

/** lmdb's own error only points to the system's, in a promise that it rejects in the same turn. */
async function reasonOf(failure: unknown): Promise<unknown> {
  const { commitError } = failure as { readonly commitError?: Promise<unknown> };
  if (commitError === undefined) return failure;
  const nextTurn = new Promise((resolve) => setImmediate(resolve, failure));
  return Promise.race([commitError.catch((reason: unknown) => reason), nextTurn]);
}

/**
 * True for the rejection of a promise that lmdb makes for its own batch of a turn and gives to nobody: whoever asked for
 * the commit is told by another. (Without that batching its promises can be those of an earlier commit.)
 */
export function isEchoOfFailedCommit(cause: unknown): boolean {
  return cause instanceof Error && 'commitError' in cause;
}

function isFull(cause: unknown): boolean {
  const text = String(cause);
  return text.includes('MDB_MAP_FULL') || text.includes('No space left');
}
