/**
 * Market data in an instance whose hub is in another one: says there what the workers here want and read, writes what
 * comes into this instance's table (it is the only pen here), hands it to the workers, and tells them what is current.
 * From a lost message, a silent hub or a new one until everything was sent again, all of it counts as a gap. It never
 * speaks to the broker.
 */
import type { Mesh } from '../../kernel/ipc/mesh.js';
import { decodeRecord, recordKey, type QuoteTable } from '../../kernel/shared-memory/quote-table.js';
import type { TableWriter } from '../../kernel/shared-memory/table-writer.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { KIND_OF } from './channel-kinds.js';
import { FanOut } from './fan-out.js';
import { adaptiveEntries, budgetsLeft, leaveAdaptive, leaveBudgets } from './hub-legacy.js';
import type { HubState, LiveSymbols, SubscriptionReply, SymbolReads, WantedSymbols } from './hub-protocol.js';
import { without } from './hub-share.js';
import { FEED_CHANNELS, type FeedRecord } from './market-data-feed.js';
import { decodeHubWord, encodeWord, saneSymbols, type HubWord, type QuoteBus } from './quote-bus.js';
import { SubscriptionBook } from './subscription-book.js';

export interface QuoteFollowerParts {
  readonly bus: QuoteBus;
  /** This instance's name. */
  readonly self: string;
  /** The instance that holds the master account now, as this one knows it: no other is listened to. */
  readonly holder: () => string | undefined;
  readonly mesh: Mesh;
  readonly table: QuoteTable;
  /** The follower's own, closed with it. */
  readonly writer: TableWriter;
  readonly feeds: { readonly stock: string; readonly option: string };
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly deliverHere: (records: readonly FeedRecord[]) => void;
  readonly stateHere: (state: HubState) => void;
}

const BEAT_MS = 1_000;
/** Three beats of the hub. */
const SILENCE_MS = 3_500;
const TELL_AFTER_MS = 20;
const ANSWER_MS = 1_000;
/** A symbol that was read is asked for so long. */
const READ_FOR_MS = 60_000;
const READ_MAX = 2_000;

interface Waiter {
  readonly serial: number;
  readonly resolve: (refused: WantedSymbols) => void;
}

export class QuoteFollower {
  readonly #id: string;
  /** The limit is the hub's to keep. */
  readonly #book = new SubscriptionBook({ stock: Infinity, option: Infinity });
  readonly #writer: TableWriter;
  readonly #fanOut: FanOut;
  readonly #readAt = new Map<string, number>();
  #reads = new Map<string, number>();
  #hub: { readonly id: string; seq: number } | undefined;
  #live: LiveSymbols = {};
  #gap: LiveSymbols = {};
  #session = 0;
  #serial = 0;
  #isSynced = false;
  #heardAt = -Infinity;
  #version = 0;
  #waiters: Waiter[] = [];
  #cancelTell: (() => void) | undefined;
  readonly #stop = new AbortController();
  readonly #unlisten: () => void;

  constructor(private readonly parts: QuoteFollowerParts) {
    const { mesh, clock, log } = parts;
    this.#id = `follower-${String(mesh.slot)}-${String(clock.now())}`;
    this.#writer = parts.writer;
    this.#fanOut = new FanOut(parts);
    this.#unlisten = parts.bus.listen('followers', (message) => {
      this.#hear(message);
    });
    log.info({ slot: mesh.slot }, 'market data comes from another instance');
    void this.#beat();
  }

  /** Resolves with what the hub refuses; when it does not answer, with nothing: it is told again every second. */
  async want(slot: number, wanted: WantedSymbols): Promise<SubscriptionReply> {
    this.#book.want(slot, wanted);
    const all = await this.#announce(true);
    const refused = Object.fromEntries(
      FEED_CHANNELS.map((channel) => {
        const over = new Set(all[channel]);
        return [channel, (wanted[channel] ?? []).filter((symbol) => over.has(symbol))];
      }),
    );
    // Its worker counts them no more; asked for on, they might be granted later to nobody.
    if (Object.values(refused).some((list) => list.length > 0)) this.#book.want(slot, without(wanted, refused));
    return { op: 'wanted', hubId: this.#id, refused };
  }

  noteReads(reads: SymbolReads): void {
    const now = this.parts.clock.monotonicMs();
    for (const [symbol, count] of reads) {
      this.#reads.set(symbol, (this.#reads.get(symbol) ?? 0) + count);
      this.#readAt.delete(symbol);
      this.#readAt.set(symbol, now);
    }
    for (const [symbol, at] of this.#readAt) {
      if (this.#readAt.size <= READ_MAX && now - at <= READ_FOR_MS) break;
      this.#readAt.delete(symbol);
    }
  }

  peer(slot: number, isConnected: boolean): void {
    if (isConnected) {
      this.parts.mesh.notify(slot, 'subscriptions', { header: this.#state() });
      return;
    }
    this.#book.slotGone(slot);
    this.#fanOut.slotGone(slot);
    void this.#announce();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#unlisten();
    this.#cancelTell?.();
    this.#fanOut.close();
    for (const { resolve } of this.#waiters) resolve({});
    await this.#writer.close();
  }

  async #beat(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      void this.#announce();
      this.#tell();
      await this.parts.clock.sleep(BEAT_MS, this.#stop.signal);
    }
  }

  /** @returns what the hub refused, if that is waited for */
  async #announce(waits = false): Promise<WantedSymbols> {
    const { bus, self, clock } = this.parts;
    this.#serial += 1;
    const serial = this.#serial;
    const wanted = Object.fromEntries(FEED_CHANNELS.map((channel) => [channel, [...this.#book.symbols(channel)]]));
    const word = {
      ...{ from: self, session: `${this.#id}-${String(this.#session)}`, serial, wanted },
      read: [...this.#readAt.keys()],
      reads: Object.fromEntries(this.#reads),
    };
    if (bus.send('hub', encodeWord(word))) this.#reads = new Map();
    if (!waits) return {};
    return new Promise((resolve) => {
      const cancel = clock.after(ANSWER_MS, () => {
        this.#answered(serial, {});
      });
      this.#waiters.push({
        serial,
        resolve: (refused) => {
          cancel();
          resolve(refused);
        },
      });
    });
  }

  #hear(message: Uint8Array): void {
    const heard = decodeHubWord(message);
    if (heard === undefined || heard.word.from !== this.parts.holder()) return;
    const { word, records } = heard;
    this.#heardAt = this.parts.clock.monotonicMs();
    const isNext = word.hubId === this.#hub?.id && word.seq === this.#hub.seq + 1;
    this.#hub = { id: word.hubId, seq: word.seq };
    if (!isNext) this.#lost();
    this.#take(word, records);
  }

  /** Something was missed, or the hub is a new one: ask for everything. */
  #lost(): void {
    this.#isSynced = false;
    this.#session += 1;
    this.parts.meter.count('opitios_market_data_resyncs_total');
    void this.#announce();
    this.#tellSoon();
  }

  #take(word: HubWord, records: readonly FeedRecord[]): void {
    switch (word.op) {
      case 'records':
        for (const record of records) this.#record(record);
        return;
      case 'snapshot':
        this.parts.table.refresh();
        for (const record of records) if (!this.#knows(record)) this.#record(record);
        return;
      case 'state':
        this.#learn(word);
        return;
      case 'wanted':
        if (word.to !== this.parts.self) return;
        if (word.session === `${this.#id}-${String(this.#session)}` && !this.#isSynced) {
          this.#isSynced = true;
          this.#tellSoon();
        }
        this.#answered(word.serial, saneSymbols(word.refused));
    }
  }

  #record(record: FeedRecord): void {
    this.#writer.put(this.#keyOf(record), record.receivedAt, record.json.slice(0, -1));
    this.parts.meter.count('opitios_market_data_shared_records_total', { way: 'received' });
    const slots = this.#book.slotsFor(record.channel, record.symbol);
    if (slots !== undefined) this.#fanOut.publish(record, slots);
  }

  #knows(record: FeedRecord): boolean {
    const key = this.#keyOf(record);
    const written = this.#writer.latest(key);
    const known = written === undefined ? this.parts.table.read(key) : decodeRecord(written);
    return known !== undefined && `${Buffer.from(known.text).toString('utf8')}}` === record.json;
  }

  #keyOf({ channel, symbol }: FeedRecord): string {
    const { stock, option } = this.parts.feeds;
    return recordKey(KIND_OF[channel], channel.startsWith('option') ? option : stock, symbol);
  }

  #learn(word: Extract<HubWord, { readonly op: 'state' }>): void {
    const { feeds, clock, log } = this.parts;
    if (word.feeds.stock !== feeds.stock || word.feeds.option !== feeds.option) {
      log.warn({ there: word.feeds, here: feeds }, 'the instance that holds market data has another feed');
      this.#isSynced = false;
      return;
    }
    this.#live = saneSymbols(word.live);
    this.#gap = saneSymbols(word.gap);
    leaveAdaptive(this.#writer, adaptiveEntries(word.adaptive), clock.now());
    const budgets = budgetsLeft(word.budgets);
    if (budgets !== undefined) leaveBudgets(this.#writer, budgets, clock.now());
    this.#tellSoon();
  }

  #answered(serial: number, refused: WantedSymbols): void {
    const done = this.#waiters.filter((waiter) => waiter.serial <= serial);
    this.#waiters = this.#waiters.filter((waiter) => waiter.serial > serial);
    for (const { resolve } of done) resolve(refused);
  }

  /** Later than the records before it can be read. */
  #tellSoon(): void {
    this.#cancelTell ??= this.parts.clock.after(TELL_AFTER_MS, () => {
      this.#cancelTell = undefined;
      this.#tell();
    });
  }

  #tell(): void {
    if (this.#stop.signal.aborted) return;
    this.#version += 1;
    const state = this.#state();
    this.parts.stateHere(state);
    this.parts.mesh.broadcast('subscriptions', { header: state });
    const behindMs = this.parts.clock.monotonicMs() - this.#heardAt;
    this.parts.meter.gauge('opitios_market_data_following', this.#isSynced && behindMs <= SILENCE_MS ? 1 : 0);
  }

  #state(): HubState {
    const isCurrent = this.#isSynced && this.parts.clock.monotonicMs() - this.#heardAt <= SILENCE_MS;
    return {
      ...{ op: 'state', hubId: this.#id, version: this.#version },
      live: isCurrent ? this.#live : {},
      gap: isCurrent
        ? this.#gap
        : Object.fromEntries(
            FEED_CHANNELS.map((channel) => [channel, [...(this.#live[channel] ?? []), ...(this.#gap[channel] ?? [])]]),
          ),
    };
  }
}
