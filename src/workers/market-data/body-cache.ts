/**
 * Finished answers that are worth keeping (chains, histories, reference data): bounded by bytes, least recently used
 * leaves first. A load in flight is joined. Past its freshness an answer is still given while a new one is loaded, and
 * when loading fails, an old answer is better than none: its Age says how old.
 */
import type { Problem } from '../../kernel/domain/problem.js';
import type { Clock } from '../../kernel/runtime/clock.js';

export interface CachedBody {
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly gzip?: Uint8Array;
  readonly etag: string;
  readonly upstreamMs: number;
}

export type LoadedBody =
  { readonly kind: 'ok'; readonly value: CachedBody } | { readonly kind: 'problem'; readonly problem: Problem };

export interface CachePolicy {
  readonly freshMs: number;
  /** Given at once while a new one is loaded, up to this age. */
  readonly staleMs: number;
  /** Given when loading fails, up to this age. */
  readonly staleIfErrorMs: number;
}

export type CacheAnswer =
  | {
      readonly kind: 'ok';
      readonly value: CachedBody;
      readonly ageMs: number;
      readonly outcome: 'hit' | 'stale' | 'miss';
    }
  | { readonly kind: 'problem'; readonly problem: Problem };

interface Entry {
  readonly value: CachedBody;
  readonly storedAt: number;
  readonly bytes: number;
}

export class BodyCache {
  readonly #entries = new Map<string, Entry>();
  readonly #loading = new Map<string, Promise<LoadedBody>>();
  #bytes = 0;

  constructor(
    private readonly bytesMax: number,
    private readonly clock: Clock,
  ) {}

  async get(key: string, policy: CachePolicy, load: () => Promise<LoadedBody>): Promise<CacheAnswer> {
    const entry = this.#entries.get(key);
    const ageMs = entry === undefined ? Infinity : this.clock.monotonicMs() - entry.storedAt;
    if (entry !== undefined && ageMs <= policy.staleMs) {
      this.#entries.delete(key);
      this.#entries.set(key, entry);
      const isFresh = ageMs <= policy.freshMs;
      if (!isFresh) void this.#load(key, load);
      return { kind: 'ok', value: entry.value, ageMs, outcome: isFresh ? 'hit' : 'stale' };
    }
    const loaded = await this.#load(key, load);
    if (loaded.kind === 'ok') return { ...loaded, ageMs: 0, outcome: 'miss' };
    if (entry !== undefined && ageMs <= policy.staleIfErrorMs) {
      return { kind: 'ok', value: entry.value, ageMs, outcome: 'stale' };
    }
    return loaded;
  }

  #load(key: string, load: () => Promise<LoadedBody>): Promise<LoadedBody> {
    const running = this.#loading.get(key);
    if (running !== undefined) return running;
    const loading = load()
      .catch((cause: unknown): LoadedBody => {
        const detail = cause instanceof Error ? cause.message : 'loading failed';
        return { kind: 'problem', problem: { code: 'broker-unreadable', detail } };
      })
      .then((loaded) => {
        this.#loading.delete(key);
        if (loaded.kind === 'ok') this.#store(key, loaded.value);
        return loaded;
      });
    this.#loading.set(key, loading);
    return loading;
  }

  #store(key: string, value: CachedBody): void {
    const bytes = value.body.byteLength + (value.gzip?.byteLength ?? 0);
    this.#drop(key);
    if (bytes > this.bytesMax) return;
    this.#entries.set(key, { value, bytes, storedAt: this.clock.monotonicMs() });
    this.#bytes += bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= this.bytesMax) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }
}
