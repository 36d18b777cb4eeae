/**
 * Market data to the sockets of this worker. Sockets with the same subscriptions form one audience: its frame is put
 * together once a tick, whatever the number of its members. A member that does not keep up leaves the common frames
 * and gets the newest value of each topic when it has caught up; it never queues.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { FeedChannel, FeedRecord, MarketDataFeed } from '../market-data/market-data-feed.js';

export interface MarketReader {
  /** False: the socket is full, nothing was taken. */
  takeFrame(frame: Buffer, records: number): boolean;
  /** Room for a frame again. */
  hasRoom(): boolean;
}

/** `channel symbol` */
export type Topic = string;

export function topicOf(channel: FeedChannel, symbol: string): Topic {
  return `${channel} ${symbol}`;
}

export function channelAndSymbol(topic: Topic): readonly [FeedChannel, string] {
  const space = topic.indexOf(' ');
  return [topic.slice(0, space) as FeedChannel, topic.slice(space + 1)];
}

interface Audience {
  readonly profile: string;
  readonly topics: ReadonlySet<Topic>;
  readonly members: Set<MarketReader>;
  pending: FeedRecord[];
}

const SLOW_TICK_MS = 50;
/** A tick is never longer than this, however long the flushes take. */
const TICK_MAX_MS = 250;

export class MarketFanOut {
  readonly #audiences = new Map<string, Audience>();
  readonly #byTopic = new Map<Topic, Set<Audience>>();
  readonly #audienceOf = new Map<MarketReader, Audience>();
  readonly #dirty = new Set<Audience>();
  /** The newest record of each topic that a slow reader has not had. */
  readonly #behind = new Map<MarketReader, Map<Topic, FeedRecord>>();
  readonly #leave: () => void;
  #cancelTick: (() => void) | undefined;
  #tickMs: number;

  constructor(
    feed: MarketDataFeed,
    private readonly clock: Clock,
    private readonly options: {
      readonly flushIntervalMs: number;
      readonly onConflated: (records: number) => void;
    },
  ) {
    this.#tickMs = options.flushIntervalMs;
    this.#leave = feed.onRecords((records) => this.#take(records));
  }

  /** From now on the reader gets the records of these topics and of no others. */
  setTopics(reader: MarketReader, topics: ReadonlySet<Topic>): void {
    this.#remove(reader);
    this.#keepOnly(reader, topics);
    if (topics.size === 0) return;
    const profile = [...topics].sort().join('\n');
    let audience = this.#audiences.get(profile);
    if (audience === undefined) {
      audience = { profile, topics: new Set(topics), members: new Set(), pending: [] };
      this.#audiences.set(profile, audience);
      for (const topic of topics) this.#byTopic.set(topic, (this.#byTopic.get(topic) ?? new Set()).add(audience));
    }
    // What is pending was published before this member came.
    this.#flushAudience(audience);
    audience.members.add(reader);
    this.#audienceOf.set(reader, audience);
  }

  remove(reader: MarketReader): void {
    this.#remove(reader);
    this.#behind.delete(reader);
  }

  close(): void {
    this.#leave();
    this.#cancelTick?.();
    this.#audiences.clear();
    this.#byTopic.clear();
    this.#behind.clear();
  }

  #remove(reader: MarketReader): void {
    const audience = this.#audienceOf.get(reader);
    if (audience === undefined) return;
    this.#flushAudience(audience);
    this.#audienceOf.delete(reader);
    audience.members.delete(reader);
    if (audience.members.size > 0) return;
    this.#audiences.delete(audience.profile);
    for (const topic of audience.topics) {
      const audiences = this.#byTopic.get(topic);
      audiences?.delete(audience);
      if (audiences?.size === 0) this.#byTopic.delete(topic);
    }
  }

  #keepOnly(reader: MarketReader, topics: ReadonlySet<Topic>): void {
    const behind = this.#behind.get(reader);
    if (behind === undefined) return;
    for (const topic of behind.keys()) if (!topics.has(topic)) behind.delete(topic);
  }

  #take(records: readonly FeedRecord[]): void {
    for (const record of records) {
      for (const audience of this.#byTopic.get(topicOf(record.channel, record.symbol)) ?? []) {
        audience.pending.push(record);
        this.#dirty.add(audience);
      }
    }
    if (this.#dirty.size > 0) this.#armTick(this.#tickMs);
  }

  #armTick(ms: number): void {
    this.#cancelTick ??= this.clock.after(ms, () => {
      this.#cancelTick = undefined;
      this.#flush();
    });
  }

  /**
   * The cost of a client is per flush, not per record: when flushes take their time the ticks grow longer, so that at
   * most half of the worker goes into them and requests, orders and beats have the other half.
   */
  #flush(): void {
    const began = this.clock.monotonicMs();
    for (const audience of this.#dirty) this.#flushAudience(audience);
    const tookMs = this.clock.monotonicMs() - began;
    this.#tickMs = Math.min(TICK_MAX_MS, Math.max(this.options.flushIntervalMs, tookMs * 2));
    for (const [reader, behind] of this.#behind) this.#catchUp(reader, behind);
    if (this.#behind.size > 0) this.#armTick(SLOW_TICK_MS);
  }

  #flushAudience(audience: Audience): void {
    this.#dirty.delete(audience);
    if (audience.pending.length === 0) return;
    const { pending } = audience;
    audience.pending = [];
    const frame = frameOf(pending);
    for (const reader of audience.members) {
      const behind = this.#behind.get(reader);
      if (behind === undefined && reader.takeFrame(frame, pending.length)) continue;
      this.#fallBehind(reader, behind ?? new Map<Topic, FeedRecord>(), pending);
    }
    if (this.#behind.size > 0) this.#armTick(SLOW_TICK_MS);
  }

  #fallBehind(reader: MarketReader, behind: Map<Topic, FeedRecord>, records: readonly FeedRecord[]): void {
    let conflated = 0;
    for (const record of records) {
      const topic = topicOf(record.channel, record.symbol);
      if (behind.has(topic)) conflated += 1;
      behind.set(topic, record);
    }
    this.#behind.set(reader, behind);
    if (conflated > 0) this.options.onConflated(conflated);
  }

  #catchUp(reader: MarketReader, behind: ReadonlyMap<Topic, FeedRecord>): void {
    if (!reader.hasRoom()) return;
    if (behind.size === 0 || reader.takeFrame(frameOf([...behind.values()]), behind.size)) this.#behind.delete(reader);
  }
}

function frameOf(records: readonly FeedRecord[]): Buffer {
  const [first] = records;
  if (records.length === 1 && first !== undefined) return Buffer.from(first.json);
  return Buffer.from(`[${records.map((record) => record.json).join(',')}]`);
}
