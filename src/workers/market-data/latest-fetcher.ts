/**
 * Latest values by REST into the shared table, each symbol once however many ask: a symbol in flight is joined, those
 * asked for in the same turn share a call, and one that the broker rejects is found by halving and costs only itself.
 * Runs on the hub's worker alone, so "once" holds for the whole instance.
 */
import type { Problem } from '../../kernel/domain/problem.js';
import { recordKey, type QuoteTable, type RecordKind } from '../../kernel/shared-memory/quote-table.js';
import type { TableWriter } from '../../kernel/shared-memory/table-writer.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import { unpackRecords } from '../../threads/tasks.js';
import type { Batch } from './batch.js';
import type { UpstreamClient } from './upstream-client.js';
import { wordsOf } from './upstream-client.js';

/** What became of one symbol. */
export type SymbolOutcome = 'ok' | 'unknown' | 'malformed' | Problem;

export type LatestKind = Extract<RecordKind, 'quote' | 'trade' | 'snapshot' | 'option_quote' | 'option_trade'>;

const PATHS: Readonly<Record<LatestKind, { readonly path: string; readonly symbolsMax: number }>> = {
  // Alpaca documents no count for stocks; the address is the bound (docs/broker-wire.md#market-data-requests). Options:
  // 100.
  quote: { path: '/v2/stocks/quotes/latest', symbolsMax: 500 },
  trade: { path: '/v2/stocks/trades/latest', symbolsMax: 500 },
  snapshot: { path: '/v2/stocks/snapshots', symbolsMax: 250 },
  option_quote: { path: '/v1beta1/options/quotes/latest', symbolsMax: 100 },
  option_trade: { path: '/v1beta1/options/trades/latest', symbolsMax: 100 },
};

/** A symbol that does not exist is not asked for again for a while; the list of those is bounded. */
const UNKNOWN_FOR_MS = 30_000;
const UNKNOWN_MAX = 20_000;
/** Below this a page is parsed where it is: the way to a thread would cost more. */
const LIGHT_PAGE_BYTES = 16_384;

export interface LatestFetcherParts {
  readonly upstream: UpstreamClient;
  readonly table: QuoteTable;
  readonly writer: TableWriter;
  readonly batch: Batch;
  readonly clock: Clock;
  readonly defaultFeed: { readonly stock: string; readonly option: string };
  readonly timeoutMs: number;
  /** The stream brought something later than this table value for this key. */
  readonly isSuperseded: (key: string, text: Uint8Array) => boolean;
}

interface Pending {
  readonly kind: LatestKind;
  readonly feed: string;
  readonly symbols: Map<string, (outcome: SymbolOutcome) => void>;
}

export class LatestFetcher {
  readonly #inFlight = new Map<string, Promise<SymbolOutcome>>();
  readonly #pending = new Map<string, Pending>();
  readonly #unknownUntil = new Map<string, number>();

  constructor(private readonly parts: LatestFetcherParts) {}

  /**
   * Never rejects. A value in the table that is at most `maxAgeMs` old counts as fetched; below zero only an answer to
   * a question asked from now on counts.
   */
  async fetch(
    kind: LatestKind,
    feed: string,
    symbols: readonly string[],
    maxAgeMs: number,
  ): Promise<ReadonlyMap<string, SymbolOutcome>> {
    const outcomes = symbols.map(async (symbol): Promise<[string, SymbolOutcome]> => [
      symbol,
      await this.#one(kind, feed, symbol, maxAgeMs),
    ]);
    return new Map(await Promise.all(outcomes));
  }

  #one(kind: LatestKind, feed: string, symbol: string, maxAgeMs: number): Promise<SymbolOutcome> | SymbolOutcome {
    const key = recordKey(kind, feed, symbol);
    const running = this.#inFlight.get(key);
    if (running !== undefined) {
      return maxAgeMs >= 0 ? running : running.then(() => this.#one(kind, feed, symbol, maxAgeMs));
    }
    const known = this.parts.table.read(key);
    if (known !== undefined && this.parts.clock.now() - known.receivedAt <= maxAgeMs) return 'ok';
    if (maxAgeMs >= 0 && (this.#unknownUntil.get(key) ?? 0) > this.parts.clock.monotonicMs()) return 'unknown';

    const outcome = new Promise<SymbolOutcome>((resolve) => {
      this.#queue(kind, feed).symbols.set(symbol, resolve);
    });
    this.#inFlight.set(key, outcome);
    return outcome.then((result) => {
      this.#inFlight.delete(key);
      if (result === 'unknown') this.#remember(key);
      return result;
    });
  }

  #queue(kind: LatestKind, feed: string): Pending {
    const group = `${kind}@${feed}`;
    const open = this.#pending.get(group);
    if (open !== undefined) return open;
    const pending: Pending = { kind, feed, symbols: new Map() };
    this.#pending.set(group, pending);
    // Everything asked for in this turn of the loop goes out together.
    setImmediate(() => {
      this.#pending.delete(group);
      const all = [...pending.symbols.keys()];
      const { symbolsMax } = PATHS[kind];
      for (let from = 0; from < all.length; from += symbolsMax) {
        void this.#fetchChunk(pending, all.slice(from, from + symbolsMax));
      }
    });
    return pending;
  }

  async #fetchChunk(pending: Pending, symbols: readonly string[]): Promise<void> {
    const settle = (list: readonly string[], outcome: SymbolOutcome): void => {
      for (const symbol of list) pending.symbols.get(symbol)?.(outcome);
    };
    try {
      const isOption = pending.kind.startsWith('option');
      const ownFeed = isOption ? this.parts.defaultFeed.option : this.parts.defaultFeed.stock;
      const query = `symbols=${symbols.map(encodeURIComponent).join(',')}&feed=${encodeURIComponent(pending.feed)}`;
      const answer = await this.parts.upstream.get({
        host: 'data',
        path: `${PATHS[pending.kind].path}?${query}`,
        deadlineMs: this.parts.timeoutMs,
        asksOwnFeed: pending.feed !== ownFeed,
      });
      if (answer.kind === 'problem') {
        settle(symbols, answer.problem);
        return;
      }
      if (answer.status === 400 || answer.status === 422) {
        // One malformed symbol fails the whole call (docs/broker-wire.md#market-data-requests), and its text is no
        // contract: halve.
        if (symbols.length === 1) settle(symbols, 'malformed');
        else await Promise.all(halves(symbols).map((half) => this.#fetchChunk(pending, half)));
        return;
      }
      if (answer.status !== 200) {
        settle(symbols, {
          code: 'broker-refused',
          detail: 'the broker refused the request',
          status: answer.status,
          alpaca: wordsOf(answer),
        });
        return;
      }
      const found = await this.#store(pending, answer.body, answer.source);
      settle(
        symbols.filter((symbol) => found.has(symbol)),
        'ok',
      );
      settle(
        symbols.filter((symbol) => !found.has(symbol)),
        'unknown',
      );
    } catch (cause) {
      const detail = cause instanceof Error ? cause.message : 'the answer could not be read';
      settle(symbols, { code: 'broker-unreadable', detail });
    }
  }

  async #store(pending: Pending, body: Uint8Array, source: string): Promise<ReadonlySet<string>> {
    const { packed } = await this.parts.batch.run(
      {
        kind: 'latest',
        recordKind: pending.kind,
        page: body,
        origin: { source, feed: pending.feed },
        receivedAt: this.parts.clock.now(),
      },
      { light: body.byteLength <= LIGHT_PAGE_BYTES },
    );
    const found = new Set<string>();
    for (const { recordKind, symbol, value } of unpackRecords(packed)) {
      const key = recordKey(recordKind, pending.feed, symbol);
      if (!this.parts.isSuperseded(key, value)) this.parts.writer.putEncoded(key, value);
      if (recordKind === pending.kind) found.add(symbol);
    }
    // Whoever waits reads the table next, perhaps in another process.
    await this.parts.writer.flushed();
    return found;
  }

  #remember(key: string): void {
    this.#unknownUntil.delete(key);
    this.#unknownUntil.set(key, this.parts.clock.monotonicMs() + UNKNOWN_FOR_MS);
    if (this.#unknownUntil.size <= UNKNOWN_MAX) return;
    const [oldest] = this.#unknownUntil.keys();
    if (oldest !== undefined) this.#unknownUntil.delete(oldest);
  }
}

function halves(symbols: readonly string[]): readonly (readonly string[])[] {
  const middle = Math.ceil(symbols.length / 2);
  return [symbols.slice(0, middle), symbols.slice(middle)];
}
