/**
 * The hub's live side: a stock and an option socket, what is subscribed on them, and which values of the table they
 * keep current. A symbol is `live` once its subscription is confirmed and its value was heard or fetched after that;
 * from the end of the socket until then it is in a gap, and readers are told so.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import {
  barText,
  quoteText,
  tradeText,
  type BrokerRecord,
  type Origin,
} from '../../kernel/shared-memory/record-text.js';
import { recordKey, type QuoteTable, type RecordKind } from '../../kernel/shared-memory/quote-table.js';
import type { TableWriter } from '../../kernel/shared-memory/table-writer.js';
import { KIND_OF } from './channel-kinds.js';
import type { FanOut } from './fan-out.js';
import type { LiveSymbols } from './hub-protocol.js';
import type { LatestFetcher, LatestKind } from './latest-fetcher.js';
import { FEED_CHANNELS, type FeedChannel, type FeedRecord } from './market-data-feed.js';
import { Newcomers } from './newcomers.js';
import type { Sources } from './sources.js';
import { isLater } from './stream-frames.js';
import { StreamSession } from './stream-session.js';
import type { SubscriptionBook } from './subscription-book.js';
import type { UpstreamChannel } from './upstream.js';

export interface HubStreamsParts {
  readonly sources: Sources;
  readonly book: SubscriptionBook;
  readonly latest: LatestFetcher;
  readonly table: QuoteTable;
  readonly writer: TableWriter;
  readonly fanOut: FanOut;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly feeds: { readonly stock: string; readonly option: string };
  readonly muteTimeoutMs: number;
  readonly jitter: () => number;
  /** Event time of the newest record that a stream brought, by table key: a later REST answer may be older. */
  readonly heard: Map<string, string>;
  /** To other instances, where there are any. */
  readonly publishElsewhere?: (record: FeedRecord) => void;
  /** What is live or in a gap has changed. */
  readonly onChange: () => void;
}

type Side = 'stock' | 'option';

/** Below this a difference between stream and REST is two feeds' clocks, not silence. */
const MUTE_PROBE_SYMBOLS = 50;

export class HubStreams {
  readonly #sessions: Readonly<Record<Side, StreamSession>>;
  readonly #live = new Map<FeedChannel, Set<string>>(FEED_CHANNELS.map((channel) => [channel, new Set<string>()]));
  /** Confirmed, value not yet known to be current. */
  readonly #pending = new Map<FeedChannel, Set<string>>(FEED_CHANNELS.map((channel) => [channel, new Set<string>()]));
  /** Being fetched: not asked for again before the answer. */
  readonly #backfilling = new Set<string>();
  readonly #newcomers = new Newcomers();
  #version = 0;

  constructor(private readonly parts: HubStreamsParts) {
    this.#sessions = { stock: this.#session('stock'), option: this.#session('option') };
  }

  /** The book holds what a predecessor left, and nothing else yet. */
  start(): void {
    this.#newcomers.takeOver(this.parts.book);
    this.#sessions.stock.start();
    this.#sessions.option.start();
  }

  stop(): void {
    this.#sessions.stock.stop();
    this.#sessions.option.stop();
  }

  /** Rises whenever `live` or `gap` changes. */
  version(): number {
    return this.#version;
  }

  live(): LiveSymbols {
    return Object.fromEntries([...this.#live].map(([channel, symbols]) => [channel, [...symbols]]));
  }

  gap(): LiveSymbols {
    return Object.fromEntries(
      FEED_CHANNELS.map((channel) => {
        const live = this.#live.get(channel);
        const isInGap = (symbol: string): boolean => live?.has(symbol) !== true && !this.#isNew(channel, symbol);
        return [channel, [...this.parts.book.symbols(channel)].filter(isInGap)];
      }),
    );
  }

  /** The book has changed. */
  sync(): void {
    for (const channel of FEED_CHANNELS) {
      const wanted = this.parts.book.symbols(channel);
      const feed = this.#feed(sideOf(channel));
      const known = [...(this.#live.get(channel) ?? []), ...(this.#pending.get(channel) ?? [])];
      for (const symbol of known.filter((name) => !wanted.has(name))) {
        this.#live.get(channel)?.delete(symbol);
        this.#pending.get(channel)?.delete(symbol);
        this.parts.heard.delete(recordKey(KIND_OF[channel], feed, symbol));
      }
    }
    const claimed = this.#newcomers.sync(this.parts.book);
    void this.#backfill(
      'quotes',
      claimed.filter((symbol) => this.#pending.get('quotes')?.has(symbol) === true),
    );
    this.#changed();
    this.#sessions.stock.sync();
    this.#sessions.option.sync();
  }

  /** Once a beat: values that could not be fetched after a gap are tried again. */
  retryPending(): void {
    this.#newcomers.beat(this.#pending.get('quotes') ?? new Set());
    for (const [channel, symbols] of this.#pending) void this.#backfill(channel, [...symbols]);
  }

  #session(side: Side): StreamSession {
    const { parts } = this;
    return new StreamSession({
      ...parts,
      side,
      path: side === 'stock' ? `v2/${parts.feeds.stock}` : `v1beta1/${parts.feeds.option}`,
      wanted: (channel) => {
        const own = channelOf(side, channel);
        return own === undefined ? new Set() : parts.book.symbols(own);
      },
      onRecords: (records, source) => {
        const origin = { source: parts.sources.label('stream', source), feed: this.#feed(side) };
        for (const record of records) this.#record(side, record, origin);
      },
      onConfirmed: (channel, symbols) => {
        const own = channelOf(side, channel);
        if (own !== undefined) this.#confirmed(own, symbols);
      },
      onDown: () => {
        this.#down(side);
      },
      onLimit: (confirmed) => {
        parts.book.lowerLimit(side, confirmed);
        parts.log.warn({ side, confirmed }, 'the plan allows fewer subscriptions than configured');
        this.sync();
      },
      onSlow: () => {
        parts.log.warn({ side }, 'the broker finds this client slow');
        parts.book.shedAdaptive();
        this.sync();
      },
      isMute: () => this.#isMute(side),
    });
  }

  #record(side: Side, record: BrokerRecord, origin: Origin): void {
    const symbol = record['S'];
    const tag = record['T'];
    if (typeof symbol !== 'string' || typeof tag !== 'string') return;
    const time = typeof record['t'] === 'string' ? record['t'] : '';
    switch (tag) {
      case 'q': {
        const text = quoteText(side === 'stock' ? 'quote' : 'option_quote', symbol, record, origin);
        this.#update(side === 'stock' ? 'quotes' : 'option_quotes', symbol, time, text);
        return;
      }
      case 't': {
        const text = tradeText(side === 'stock' ? 'trade' : 'option_trade', symbol, record, origin);
        this.#update(side === 'stock' ? 'trades' : 'option_trades', symbol, time, text);
        return;
      }
      case 'b':
      case 'u':
        this.#update('bars', symbol, time, barText(symbol, record, origin));
        return;
      case 'd':
        this.parts.writer.put(
          recordKey('daily_bar', origin.feed, symbol),
          this.parts.clock.now(),
          barText(symbol, record, origin),
        );
        return;
      default:
      // Corrections, cancels, statuses: nothing that a latest value is made of.
    }
  }

  #update(channel: FeedChannel, symbol: string, time: string, text: string): void {
    const key = recordKey(KIND_OF[channel], this.#feed(sideOf(channel)), symbol);
    const receivedAt = this.parts.clock.now();
    this.parts.writer.put(key, receivedAt, text);
    this.parts.heard.set(key, time);
    if (this.#pending.get(channel)?.delete(symbol) === true) this.#becameLive(channel, symbol);
    this.#publish({ channel, symbol, receivedAt, json: `${text}}` });
  }

  #publish(record: FeedRecord): void {
    const slots = this.parts.book.slotsFor(record.channel, record.symbol);
    if (slots !== undefined) this.parts.fanOut.publish(record, slots);
    this.parts.publishElsewhere?.(record);
  }

  #confirmed(channel: FeedChannel, symbols: readonly string[]): void {
    // A bar is complete when it comes; there is nothing to catch up with.
    if (channel === 'bars') {
      for (const symbol of symbols) this.#becameLive(channel, symbol);
      return;
    }
    for (const symbol of symbols) this.#pending.get(channel)?.add(symbol);
    void this.#backfill(channel, symbols);
  }

  /**
   * There is no replay: after every subscription the value is fetched once (docs/broker-wire.md#data-stream-session).
   */
  async #backfill(channel: FeedChannel, symbols: readonly string[]): Promise<void> {
    const kind = KIND_OF[channel] as LatestKind;
    const feed = this.#feed(sideOf(channel));
    const asked = symbols.filter(
      (symbol) => !this.#backfilling.has(`${channel} ${symbol}`) && !this.#isNew(channel, symbol),
    );
    if (asked.length === 0) return;
    for (const symbol of asked) this.#backfilling.add(`${channel} ${symbol}`);
    const outcomes = await this.parts.latest.fetch(kind, feed, asked, -1);
    for (const symbol of asked) this.#backfilling.delete(`${channel} ${symbol}`);
    this.parts.table.refresh();
    for (const [symbol, outcome] of outcomes) {
      // Not pending any more: heard meanwhile, or the socket is down again.
      const isSettled = outcome === 'ok' || outcome === 'unknown';
      if (!isSettled || this.#pending.get(channel)?.delete(symbol) !== true) continue;
      this.#becameLive(channel, symbol);
      const record = outcome === 'ok' ? this.parts.table.read(recordKey(kind, feed, symbol)) : undefined;
      if (record === undefined) continue;
      const json = this.parts.table.finished(record, '}').toString('utf8');
      this.#publish({ channel, symbol, json, receivedAt: record.receivedAt });
    }
  }

  #becameLive(channel: FeedChannel, symbol: string): void {
    this.#live.get(channel)?.add(symbol);
    if (channel === 'quotes') this.#newcomers.settled(symbol);
    this.#changed();
  }

  #isNew(channel: FeedChannel, symbol: string): boolean {
    return channel === 'quotes' && this.#newcomers.has(symbol);
  }

  #down(side: Side): void {
    for (const channel of FEED_CHANNELS) {
      if (sideOf(channel) !== side) continue;
      this.#live.get(channel)?.clear();
      this.#pending.get(channel)?.clear();
    }
    this.#changed();
  }

  #changed(): void {
    this.#version += 1;
    this.parts.onChange();
  }

  /** Mute, when REST knows a later value than the stream ever brought; a quiet market is not. */
  async #isMute(side: Side): Promise<boolean> {
    const channels: readonly FeedChannel[] =
      side === 'stock' ? ['quotes', 'trades'] : ['option_quotes', 'option_trades'];
    for (const channel of channels) {
      const symbols = [...this.parts.book.symbols(channel)].slice(0, MUTE_PROBE_SYMBOLS);
      if (symbols.length === 0) continue;
      const kind = KIND_OF[channel] as LatestKind;
      const feed = this.#feed(side);
      const before = new Map(symbols.map((symbol) => [symbol, this.#eventTime(kind, feed, symbol)]));
      await this.parts.latest.fetch(kind, feed, symbols, -1);
      this.parts.table.refresh();
      const isBehind = symbols.some((symbol) => {
        const now = this.#eventTime(kind, feed, symbol);
        const then = before.get(symbol);
        return now !== undefined && then !== undefined && isLater(now, then);
      });
      if (isBehind) return true;
    }
    return false;
  }

  #eventTime(kind: RecordKind, feed: string, symbol: string): string | undefined {
    const record = this.parts.table.read(recordKey(kind, feed, symbol));
    return record === undefined ? undefined : eventTimeOf(record.text);
  }

  #feed(side: Side): string {
    return side === 'stock' ? this.parts.feeds.stock : this.parts.feeds.option;
  }
}

/** The broker's time inside a record's text. */
export function eventTimeOf(text: Uint8Array): string | undefined {
  return /"timestamp":"([^"]+)"/.exec(
    Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString('latin1'),
  )?.[1];
}

function sideOf(channel: FeedChannel): Side {
  return channel.startsWith('option') ? 'option' : 'stock';
}

/** Options have no bars on the stream (docs/broker-wire.md#data-stream-records). */
function channelOf(side: Side, channel: UpstreamChannel): FeedChannel | undefined {
  if (side === 'stock') return channel;
  if (channel === 'bars') return undefined;
  return channel === 'quotes' ? 'option_quotes' : 'option_trades';
}
