/**
 * MarketDataFeed of one worker: counts what its clients want, tells the hub the whole of it whenever it changes or the
 * hub does, and hands on what the hub sends. Removing lingers a little: a client that comes back finds its symbol live.
 */
import { GatewayError } from '../../kernel/domain/errors.js';
import type { Mesh } from '../../kernel/ipc/mesh.js';
import { recordKey, type QuoteTable } from '../../kernel/shared-memory/quote-table.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import { KIND_OF } from './channel-kinds.js';
import type { SubscriptionReply, SubscriptionRequest, WantedSymbols } from './hub-protocol.js';
import { FEED_CHANNELS, type FeedChannel, type FeedRecord, type MarketDataFeed } from './market-data-feed.js';
import { normalizeSymbol } from './symbols.js';

/** Who counts what the workers of this instance want. */
export interface SubscriptionEar {
  want(slot: number, wanted: WantedSymbols): SubscriptionReply | Promise<SubscriptionReply>;
}

export interface FeedClientParts {
  readonly mesh: Mesh;
  readonly table: QuoteTable;
  readonly clock: Clock;
  readonly log: Log;
  readonly feeds: { readonly stock: string; readonly option: string };
  /** Of the hub, or of the worker that follows the hub of another instance. */
  readonly feedSlot: () => number | undefined;
  /** Its own ear, when it is in this worker. */
  readonly localEar: () => SubscriptionEar | undefined;
}

const LINGER_MS = 2_000;
const CALL_MS = 2_000;
/** A hub that is being replaced is told when it is there. */
const RETRY_MS = 250;

export class FeedClient implements MarketDataFeed {
  readonly #counts = new Map<FeedChannel, Map<string, number>>(
    FEED_CHANNELS.map((channel) => [channel, new Map<string, number>()]),
  );
  readonly #listeners = new Set<(records: readonly FeedRecord[]) => void>();
  readonly #closed = new AbortController();
  #telling: Promise<WantedSymbols> | undefined;
  #tellAgain: Promise<WantedSymbols> | undefined;

  constructor(private readonly parts: FeedClientParts) {}

  async subscribe(channel: FeedChannel, symbols: readonly string[]): Promise<{ readonly refused: readonly string[] }> {
    const counts = this.#countsOf(channel);
    const refused: string[] = [];
    const counted: string[] = [];
    let isNew = false;
    for (const symbol of symbols) {
      if (normalizeSymbol(channel.startsWith('option') ? 'option' : 'stock', symbol) !== symbol) {
        refused.push(symbol);
        continue;
      }
      const count = counts.get(symbol) ?? 0;
      if (count === 0) isNew = true;
      counts.set(symbol, count + 1);
      counted.push(symbol);
    }
    if (!isNew) return { refused };
    const over = new Set((await this.#tell())[channel] ?? []);
    const undone = counted.filter((symbol) => over.has(symbol));
    for (const symbol of undone) this.#uncount(channel, symbol);
    return { refused: [...refused, ...undone] };
  }

  unsubscribe(channel: FeedChannel, symbols: readonly string[]): void {
    let isGone = false;
    for (const symbol of symbols) isGone = this.#uncount(channel, symbol) || isGone;
    if (!isGone) return;
    this.parts.clock.after(LINGER_MS, () => {
      if (!this.#closed.signal.aborted) void this.#tell();
    });
  }

  last(channel: FeedChannel, symbol: string): FeedRecord | undefined {
    const feed = channel.startsWith('option') ? this.parts.feeds.option : this.parts.feeds.stock;
    const record = this.parts.table.read(recordKey(KIND_OF[channel], feed, symbol));
    if (record === undefined) return undefined;
    return {
      channel,
      symbol,
      json: this.parts.table.finished(record, '}').toString('utf8'),
      receivedAt: record.receivedAt,
    };
  }

  onRecords(listen: (records: readonly FeedRecord[]) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  deliver(records: readonly FeedRecord[]): void {
    for (const listen of this.#listeners) listen(records);
  }

  /** A new hub, or one that has lost its memory: tell it everything. */
  announce(): void {
    if (!this.#closed.signal.aborted) void this.#tell();
  }

  close(): void {
    this.#closed.abort();
    this.#listeners.clear();
  }

  /** Returns whether nobody here wants it any more. */
  #uncount(channel: FeedChannel, symbol: string): boolean {
    const counts = this.#countsOf(channel);
    const count = counts.get(symbol) ?? 0;
    if (count > 1) counts.set(symbol, count - 1);
    else counts.delete(symbol);
    return count === 1;
  }

  /** One call at a time; a change during a call makes exactly one more. Returns what was refused. */
  #tell(): Promise<WantedSymbols> {
    if (this.#telling === undefined) {
      this.#telling = this.#tellHub().finally(() => {
        this.#telling = undefined;
      });
      return this.#telling;
    }
    this.#tellAgain ??= this.#telling.then(() => {
      this.#tellAgain = undefined;
      return this.#tell();
    });
    return this.#tellAgain;
  }

  async #tellHub(): Promise<WantedSymbols> {
    const wanted: WantedSymbols = Object.fromEntries(
      FEED_CHANNELS.map((channel) => [channel, [...this.#countsOf(channel).keys()]]),
    );
    try {
      const reply = await this.#call(wanted);
      if (reply !== undefined) return reply.refused;
    } catch (cause) {
      if (!(cause instanceof GatewayError)) throw cause;
      this.parts.log.warn({ code: cause.code }, 'the market data hub did not take the subscriptions');
    }
    this.parts.clock.after(RETRY_MS, () => {
      this.announce();
    });
    return {};
  }

  /** undefined while there is no hub. */
  async #call(wanted: WantedSymbols): Promise<SubscriptionReply | undefined> {
    const slot = this.parts.feedSlot();
    if (slot === undefined) return undefined;
    if (slot === this.parts.mesh.slot) return this.parts.localEar()?.want(slot, wanted);
    const header: SubscriptionRequest = { op: 'want', wanted };
    const reply = await this.parts.mesh.call(slot, 'subscriptions', { header }, { deadlineMs: CALL_MS });
    const answer = reply.header as SubscriptionReply | { readonly op: 'not-hub' };
    return answer.op === 'wanted' ? answer : undefined;
  }

  #countsOf(channel: FeedChannel): Map<string, number> {
    const counts = this.#counts.get(channel) ?? new Map<string, number>();
    this.#counts.set(channel, counts);
    return counts;
  }
}
