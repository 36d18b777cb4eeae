/**
 * The hub's side of several instances: counts what the others want beside its own workers, and sends them what they
 * want or read, newest quotes first come in batches. A value is sent before it is called live, so that nobody believes
 * an old one. Subscriptions of an instance that has gone silent leave.
 */
import { decodeRecord, recordKey, type QuoteTable } from '../../kernel/shared-memory/quote-table.js';
import type { TableWriter } from '../../kernel/shared-memory/table-writer.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { KIND_OF } from './channel-kinds.js';
import type { LiveSymbols, WantedSymbols } from './hub-protocol.js';
import { FEED_CHANNELS, type FeedChannel, type FeedRecord } from './market-data-feed.js';
import { decodeFollowerWord, encodeWord, type FollowerWord, type HubWord, type QuoteBus } from './quote-bus.js';
import type { BudgetsLeft } from './sources.js';
import type { SubscriptionBook } from './subscription-book.js';

export interface HubShareParts {
  readonly bus: QuoteBus;
  /** This instance's name. */
  readonly self: string;
  readonly hubId: string;
  readonly book: SubscriptionBook;
  readonly table: QuoteTable;
  readonly writer: TableWriter;
  readonly feeds: { readonly stock: string; readonly option: string };
  readonly clock: Clock;
  readonly meter: Meter;
  readonly live: () => LiveSymbols;
  readonly gap: () => LiveSymbols;
  readonly budgets: () => BudgetsLeft;
  /** The book has changed. */
  readonly wantsChanged: () => void;
}

interface Follower {
  /** In the book; below zero, where no worker is. */
  readonly slot: number;
  session: string;
  heardAt: number;
  told: string;
  wanted: WantedSymbols;
  read: readonly string[];
}

const FLUSH_MS = 5;
/** A follower speaks every second. */
const SILENCE_MS = 10_000;
const FOLLOWERS_MAX = 256;
/** Trades and bars that wait for a bus that does not take them. */
const BACKLOG_MAX = 50_000;

export class HubShare {
  readonly #followers = new Map<string, Follower>();
  #lastSlot = 0;
  #interest = channelSets();
  /** Called live, and their values sent. */
  #announced = channelSets();
  readonly #quotes = new Map<string, FeedRecord>();
  #others: FeedRecord[] = [];
  #cancelFlush: (() => void) | undefined;
  #seq = 0;
  readonly #unlisten: () => void;

  constructor(private readonly parts: HubShareParts) {
    this.#unlisten = parts.bus.listen('hub', (message) => {
      const word = decodeFollowerWord(message);
      if (word !== undefined && word.from !== parts.self) this.#hear(word);
    });
  }

  publish(record: FeedRecord): void {
    if (this.#interest.get(record.channel)?.has(record.symbol) !== true) return;
    if (record.channel === 'quotes' || record.channel === 'option_quotes') {
      this.#quotes.set(`${record.channel} ${record.symbol}`, record);
    } else {
      this.#others.push(record);
    }
    this.#flushSoon();
  }

  /** What is live, and the values of what has become so. */
  tell(): void {
    if (this.#followers.size > 0) this.#tell();
  }

  /** Once a second. */
  beat(): void {
    const silentSince = this.parts.clock.monotonicMs() - SILENCE_MS;
    for (const [name, { heardAt, slot }] of this.#followers) {
      if (heardAt >= silentSince) continue;
      this.#followers.delete(name);
      this.parts.book.slotGone(slot);
      this.#recount();
    }
    this.parts.meter.gauge('opitios_market_data_followers', this.#followers.size);
    // Also when nobody follows: whoever could hears that there is a hub.
    this.#tell();
  }

  close(): void {
    this.#cancelFlush?.();
    this.#unlisten();
  }

  #tell(): void {
    this.#flush();
    // What waits in the outbox would overtake.
    if (this.#quotes.size > 0 || this.#others.length > 0) return;
    const live = this.#shared(this.parts.live());
    const fresh = FEED_CHANNELS.flatMap((channel) => {
      const announced = this.#announced.get(channel);
      return (live[channel] ?? [])
        .filter((symbol) => announced?.has(symbol) !== true)
        .map((symbol) => ({ channel, symbol }));
    });
    const records = fresh
      .map(({ channel, symbol }) => this.#latest(channel, symbol))
      .filter((one) => one !== undefined);
    if (records.length > 0 && !this.#send({ op: 'snapshot' }, records)) return;
    const { feeds, book, budgets } = this.parts;
    const gap = this.#shared(this.parts.gap());
    if (!this.#send({ op: 'state', feeds, live, gap, adaptive: book.adaptive(), budgets: budgets() })) return;
    this.#announced = new Map(FEED_CHANNELS.map((channel) => [channel, new Set(live[channel])]));
  }

  #hear(word: FollowerWord): void {
    const known = this.#follower(word.from);
    if (known === undefined) return;
    known.heardAt = this.parts.clock.monotonicMs();
    const refused = this.parts.book.want(known.slot, word.wanted);
    this.parts.book.noteReads(Object.entries(word.reads));
    const told = JSON.stringify([word.wanted, word.read, refused]);
    if (told !== known.told) {
      known.told = told;
      known.wanted = without(word.wanted, refused);
      known.read = word.read;
      this.#recount();
    }
    const isNew = known.session !== word.session;
    known.session = word.session;
    // It may have missed anything: everything is sent again, which harms nobody.
    if (isNew) this.#announced = channelSets();
    this.#tell();
    const { from: to, session, serial } = word;
    this.#send({ op: 'wanted', to, session, serial, refused });
  }

  #follower(name: string): Follower | undefined {
    const known = this.#followers.get(name);
    if (known !== undefined || this.#followers.size >= FOLLOWERS_MAX) return known;
    this.#lastSlot -= 1;
    const met = { slot: this.#lastSlot, session: '', heardAt: 0, told: '', wanted: {}, read: [] };
    this.#followers.set(name, met);
    return met;
  }

  #recount(): void {
    this.#interest = channelSets();
    for (const { wanted, read } of this.#followers.values()) {
      for (const channel of FEED_CHANNELS)
        for (const symbol of wanted[channel] ?? []) this.#interest.get(channel)?.add(symbol);
      for (const symbol of read) this.#interest.get('quotes')?.add(symbol);
    }
    this.parts.wantsChanged();
  }

  #shared(symbols: LiveSymbols): LiveSymbols {
    return Object.fromEntries(
      FEED_CHANNELS.map((channel) => {
        const interest = this.#interest.get(channel);
        return [channel, (symbols[channel] ?? []).filter((symbol) => interest?.has(symbol) === true)];
      }),
    );
  }

  #latest(channel: FeedChannel, symbol: string): FeedRecord | undefined {
    const feed = channel.startsWith('option') ? this.parts.feeds.option : this.parts.feeds.stock;
    const key = recordKey(KIND_OF[channel], feed, symbol);
    const written = this.parts.writer.latest(key);
    const record = written === undefined ? this.parts.table.read(key) : decodeRecord(written);
    if (record === undefined) return undefined;
    return { channel, symbol, receivedAt: record.receivedAt, json: `${Buffer.from(record.text).toString('utf8')}}` };
  }

  #flushSoon(): void {
    this.#cancelFlush ??= this.parts.clock.after(FLUSH_MS, () => {
      this.#cancelFlush = undefined;
      this.#flush();
      if (this.#quotes.size > 0 || this.#others.length > 0) this.#flushSoon();
    });
  }

  #flush(): void {
    const records = [...this.#others, ...this.#quotes.values()];
    if (records.length === 0) return;
    if (this.#send({ op: 'records' }, records)) {
      this.parts.meter.count('opitios_market_data_shared_records_total', { way: 'sent' }, records.length);
      this.#quotes.clear();
      this.#others = [];
      return;
    }
    const over = this.#others.length - BACKLOG_MAX;
    if (over <= 0) return;
    this.#others = this.#others.slice(over);
    this.parts.meter.count('opitios_market_data_records_dropped_total', {}, over);
  }

  #send(word: HubSays, records: readonly FeedRecord[] = []): boolean {
    const { bus, self, hubId } = this.parts;
    const isSent = bus.send('followers', encodeWord({ ...word, from: self, hubId, seq: this.#seq + 1 }, records));
    // One that was taken and lost is missed by its number.
    if (isSent) this.#seq += 1;
    return isSent;
  }
}

type HubSays = HubWord extends infer Word
  ? Word extends HubWord
    ? Omit<Word, 'from' | 'hubId' | 'seq'>
    : never
  : never;

function channelSets(): Map<FeedChannel, Set<string>> {
  return new Map(FEED_CHANNELS.map((channel) => [channel, new Set<string>()]));
}

/** What is left of each list. */
export function without(symbols: WantedSymbols, refused: WantedSymbols): WantedSymbols {
  return Object.fromEntries(
    FEED_CHANNELS.map((channel) => {
      const gone = new Set(refused[channel]);
      return [channel, (symbols[channel] ?? []).filter((symbol) => !gone.has(symbol))];
    }),
  );
}
