/**
 * One upstream socket of one feed, for ever: connects with the key that Sources names, brings upstream what is wanted,
 * and starts again after every end. States: `down` (waiting to connect), `connecting`, `ready`. Subscriptions go out
 * one message at a time, so that a refusal is known to speak of that message: 405 lowers the limit, 400 is narrowed
 * down by halving to the one bad symbol. It says which symbols are confirmed; whether their values are current is
 * for its owner to decide.
 */
import type { BrokerRecord } from '../../kernel/shared-memory/record-text.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { Source, Sources } from './sources.js';
import { FrameDecoder } from './stream-frames.js';
import type { ChannelSymbols, DataStream, StreamEnd, UpstreamChannel } from './upstream.js';

export interface StreamSessionParts {
  readonly side: 'stock' | 'option';
  /** Such as `v2/iex`. */
  readonly path: string;
  readonly sources: Sources;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly muteTimeoutMs: number;
  /** In [0, 1): spreads the reconnects of many instances. */
  readonly jitter: () => number;
  readonly wanted: (channel: UpstreamChannel) => ReadonlySet<string>;
  readonly onRecords: (records: readonly BrokerRecord[], source: Source) => void;
  /** Newly confirmed, after the answer to their subscription. */
  readonly onConfirmed: (channel: UpstreamChannel, symbols: readonly string[]) => void;
  readonly onDown: () => void;
  /** The broker takes no more than this many (405), or finds us slow (407). */
  readonly onLimit: (confirmed: number) => void;
  readonly onSlow: () => void;
  /** Nothing was heard for the mute timeout: does the broker have something that we should have heard? */
  readonly isMute: () => Promise<boolean>;
}

const BACKOFF_MIN_MS = 250;
const BACKOFF_MAX_MS = 15_000;
/** 406 after our own predecessor died: the broker may hold its half-dead connection a while. */
const LIMIT_BACKOFF_MAX_MS = 5_000;
/** A refused key or feed is not tried in a hurry. */
const REFUSED_BACKOFF_MS = 10_000;
const CONNECT_TIMEOUT_MS = 10_000;
const ANSWER_TIMEOUT_MS = 5_000;
const SYMBOLS_PER_MESSAGE = 400;
const CHANNELS: readonly UpstreamChannel[] = ['quotes', 'trades', 'bars'];

type Item = readonly [channel: UpstreamChannel, symbol: string];

export class StreamSession {
  readonly #decoder = new FrameDecoder();
  readonly #confirmed = new Map<UpstreamChannel, Set<string>>(CHANNELS.map((channel) => [channel, new Set<string>()]));
  /** `channel symbol` that the broker called malformed: not asked for again on this socket. */
  readonly #banned = new Set<string>();
  /** `channel symbol` that did not fit: asked for again when something was unsubscribed. */
  readonly #overLimit = new Set<string>();
  readonly #stop = new AbortController();
  #stream: DataStream | undefined;
  #source: Source;
  #isReady = false;
  #queue: (readonly Item[])[] = [];
  /** What the message that is not answered yet asks for; empty when it unsubscribes. */
  #outstanding: readonly Item[] | undefined;
  #lastFrameAt = 0;
  #failures = 0;
  #cancelTimer: () => void = () => undefined;
  #unlisten: () => void = () => undefined;
  /** Ends of older connections are none of our business. */
  #generation = 0;

  constructor(private readonly parts: StreamSessionParts) {
    this.#source = parts.sources.current();
  }

  start(): void {
    this.#unlisten = this.parts.sources.onChange(() => {
      if (this.parts.sources.current() !== this.#source) this.#restart('another key serves now', 0);
    });
    this.#connect();
    void this.#watch();
  }

  isReady(): boolean {
    return this.#isReady;
  }

  /** What is wanted has changed. */
  sync(): void {
    if (!this.#isReady || this.#outstanding !== undefined) return;
    const gone = this.#superfluous();
    if (gone.length > 0) {
      // Room was made: what did not fit may fit now.
      this.#overLimit.clear();
      this.#outstanding = [];
      this.#stream?.unsubscribe(byChannel(gone));
    } else {
      if (this.#queue.length === 0) this.#queue = this.#missing();
      const next = this.#queue.shift();
      if (next === undefined) return;
      this.#outstanding = next;
      this.#stream?.subscribe(byChannel(next));
    }
    this.#arm(ANSWER_TIMEOUT_MS, 'a subscription was not answered');
  }

  stop(): void {
    this.#stop.abort();
    this.#unlisten();
    this.#drop();
  }

  #connect(): void {
    if (this.#stop.signal.aborted) return;
    this.#generation += 1;
    const generation = this.#generation;
    const isCurrent = (): boolean => generation === this.#generation;
    this.#source = this.parts.sources.current();
    this.#arm(CONNECT_TIMEOUT_MS, 'the connection did not become ready');
    const stream = this.#source.account.openStream(this.parts.path, {
      onReady: () => {
        if (isCurrent()) this.#ready();
      },
      onFrame: (frame) => {
        if (isCurrent()) this.#frame(frame);
      },
      onEnd: (end) => {
        if (isCurrent()) this.#ended(end);
      },
    });
    if (isCurrent()) this.#stream = stream;
    else stream.close();
  }

  #ready(): void {
    this.#cancelTimer();
    this.#isReady = true;
    this.#lastFrameAt = this.parts.clock.monotonicMs();
    this.parts.sources.succeeded(this.#source);
    this.parts.meter.gauge('opitios_market_data_stream_up', 1, { side: this.parts.side });
    this.parts.log.info({ side: this.parts.side, account: this.#source.account.accountId }, 'data stream ready');
    this.sync();
  }

  #frame(frame: Uint8Array): void {
    this.#lastFrameAt = this.parts.clock.monotonicMs();
    const records = this.#decoder.decode(frame);
    const first = records[0]?.['T'];
    // Control messages come alone (docs/broker-wire.md#data-stream-session).
    if (first === 'subscription' || first === 'error' || first === 'success') {
      for (const record of records) this.#control(record);
      return;
    }
    this.parts.onRecords(records, this.#source);
  }

  #control(record: BrokerRecord): void {
    if (record['T'] === 'subscription') this.#answered(record);
    if (record['T'] === 'error') this.#refused(Number(record['code']));
  }

  /** Every confirmation carries the whole state. */
  #answered(record: BrokerRecord): void {
    // Its subscriptions hold: whatever failed before is over.
    this.#failures = 0;
    this.#settleOutstanding();
    for (const channel of CHANNELS) {
      const list = record[channel];
      const now = new Set(Array.isArray(list) ? list.filter((item) => typeof item === 'string') : []);
      const before = this.#confirmed.get(channel) ?? new Set();
      this.#confirmed.set(channel, now);
      const added = [...now].filter((symbol) => !before.has(symbol));
      if (added.length > 0) this.parts.onConfirmed(channel, added);
    }
    this.sync();
  }

  #refused(code: number): void {
    this.parts.meter.count('opitios_market_data_stream_errors_total', { side: this.parts.side, code: String(code) });
    const refused = this.#outstanding ?? [];
    switch (code) {
      case 405:
        // Refused as a whole, the rest unchanged: the limit is what is confirmed, and what fits is tried again.
        this.#settleOutstanding();
        this.#queue = [];
        if (refused.length > 1) this.#queue = halves(refused);
        for (const item of refused.length === 1 ? refused : []) this.#overLimit.add(item.join(' '));
        if (refused.length === 1) this.parts.onLimit(this.#countedByPlan());
        this.sync();
        return;
      case 400:
      case 410:
      case 413:
        this.#settleOutstanding();
        for (const item of refused.length === 1 ? refused : []) this.#banned.add(item.join(' '));
        if (refused.length > 1) this.#queue.unshift(...halves(refused));
        this.sync();
        return;
      case 407:
        this.parts.onSlow();
        return;
      case 403:
        return;
      default:
        this.#ended({ code, detail: 'the broker ended the session' });
    }
  }

  #ended(end: StreamEnd): void {
    this.#failures += 1;
    const { sources } = this.parts;
    const keyRefused = end.code === 402 || end.code === 409 || end.code === 401 || end.code === 411;
    const source = this.#source;
    this.#restart(end.detail, this.#pauseMs(end.code), end.code);
    // After our own restart is arranged: another key starts at once and supersedes it.
    if (keyRefused) sources.refused(source);
    else sources.failed(source);
  }

  #pauseMs(code: number | undefined): number {
    const spread = 0.8 + this.parts.jitter() * 0.4;
    if (code === 402 || code === 409 || code === 401 || code === 411) return REFUSED_BACKOFF_MS * spread;
    const max = code === 406 ? LIMIT_BACKOFF_MAX_MS : BACKOFF_MAX_MS;
    return Math.min(max, BACKOFF_MIN_MS * 2 ** Math.min(10, this.#failures - 1)) * spread;
  }

  #restart(detail: string, pauseMs: number, code?: number): void {
    this.#drop();
    if (this.#stop.signal.aborted) return;
    this.parts.meter.count('opitios_market_data_stream_restarts_total', { side: this.parts.side });
    this.parts.log.warn({ side: this.parts.side, detail, code, pauseMs }, 'data stream down');
    this.#cancelTimer = this.parts.clock.after(pauseMs, () => {
      this.#connect();
    });
  }

  #drop(): void {
    this.#generation += 1;
    this.#cancelTimer();
    const wasReady = this.#isReady;
    this.#isReady = false;
    this.#queue = [];
    this.#outstanding = undefined;
    this.#banned.clear();
    this.#overLimit.clear();
    for (const symbols of this.#confirmed.values()) symbols.clear();
    this.#stream?.close();
    this.#stream = undefined;
    if (!wasReady) return;
    this.parts.meter.gauge('opitios_market_data_stream_up', 0, { side: this.parts.side });
    this.parts.onDown();
  }

  async #watch(): Promise<void> {
    const { clock, muteTimeoutMs } = this.parts;
    while (!this.#stop.signal.aborted) {
      await clock.sleep(Math.min(1_000, muteTimeoutMs / 4), this.#stop.signal);
      const isSilent = this.#isReady && clock.monotonicMs() - this.#lastFrameAt >= muteTimeoutMs;
      if (!isSilent || this.#confirmedCount() === 0) continue;
      const generation = this.#generation;
      const isMute = await this.parts.isMute();
      if (generation !== this.#generation) continue;
      // A quiet market is no fault: asked again when the next silence is as long.
      if (!isMute) this.#lastFrameAt = clock.monotonicMs();
      else this.#ended({ detail: 'connected but mute' });
    }
  }

  /** Of one channel, as above. */
  #superfluous(): readonly Item[] {
    for (const channel of CHANNELS) {
      const wanted = this.parts.wanted(channel);
      const confirmed = this.#confirmed.get(channel) ?? new Set<string>();
      const gone = [...confirmed].filter((symbol) => !wanted.has(symbol));
      if (gone.length > 0) return gone.map((symbol): Item => [channel, symbol]);
    }
    return [];
  }

  #missing(): (readonly Item[])[] {
    const items: Item[] = [];
    for (const channel of CHANNELS) {
      const confirmed = this.#confirmed.get(channel);
      for (const symbol of this.parts.wanted(channel)) {
        const name = `${channel} ${symbol}`;
        const isRefused = this.#banned.has(name) || this.#overLimit.has(name);
        if (confirmed?.has(symbol) !== true && !isRefused) items.push([channel, symbol]);
      }
    }
    // One channel a message: the wire sends each channel apart, and each has an answer of its own.
    return CHANNELS.flatMap((channel) => {
      const own = items.filter(([other]) => other === channel);
      return Array.from({ length: Math.ceil(own.length / SYMBOLS_PER_MESSAGE) }, (_, index) =>
        own.slice(index * SYMBOLS_PER_MESSAGE, (index + 1) * SYMBOLS_PER_MESSAGE),
      );
    });
  }

  #settleOutstanding(): void {
    this.#outstanding = undefined;
    this.#cancelTimer();
  }

  #arm(ms: number, detail: string): void {
    this.#cancelTimer();
    this.#cancelTimer = this.parts.clock.after(ms, () => {
      this.#ended({ detail });
    });
  }

  /** Bars are free (docs/broker-wire.md#data-stream-limits). */
  #countedByPlan(): number {
    return this.#confirmedCount() - (this.#confirmed.get('bars')?.size ?? 0);
  }

  #confirmedCount(): number {
    return CHANNELS.reduce((sum, channel) => sum + (this.#confirmed.get(channel)?.size ?? 0), 0);
  }
}

function byChannel(items: readonly Item[]): ChannelSymbols {
  const symbols: Partial<Record<UpstreamChannel, string[]>> = {};
  for (const [channel, symbol] of items) (symbols[channel] ??= []).push(symbol);
  return symbols;
}

function halves(items: readonly Item[]): (readonly Item[])[] {
  const middle = Math.ceil(items.length / 2);
  return [items.slice(0, middle), items.slice(middle)].filter((half) => half.length > 0);
}
