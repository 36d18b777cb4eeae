/**
 * The disk as the journal sees it: ordered keys, atomic commits that are on disk when they resolve. Production binds
 * lmdb (lmdb-store.ts); tests bind a disk that can be cut off.
 */

export interface StoreWrite {
  readonly key: string;
  /** Absent: the key is removed. */
  readonly value?: Uint8Array;
}

export interface KeyBounds {
  readonly first: string;
  readonly last: string;
}

export interface Store {
  /** Sees committed writes only. */
  get(key: string): Uint8Array | undefined;
  /** Every committed entry whose key starts with `prefix`, in key order. `prefix` ends with `/`. */
  range(prefix: string): Iterable<{ readonly key: string; readonly value: Uint8Array }>;
  /** The first and the last committed key of that range, without reading what is between them. */
  bounds(prefix: string): KeyBounds | undefined;
  /**
   * All of it or nothing, durable when it resolves. Commits asked for while one is under way share the next one.
   * @throws GatewayError JOURNAL_BROKEN: nothing about these writes may be assumed.
   */
  commit(writes: readonly StoreWrite[]): Promise<void>;
  /** Why commits are refused now, or undefined while they are not. */
  trouble(): string | undefined;
  close(): Promise<void>;
}
