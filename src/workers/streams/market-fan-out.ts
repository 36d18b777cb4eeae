/**
 * Market data to the sockets of this worker. Sockets with the same subscriptions form one audience: its frame is put together
 * once a tick, whatever the number of its members. A member that does not keep up leaves the common frames and gets the newest
 * value of each topic when it has caught up; it never queues.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { FeedChannel, FeedRecord, MarketDataFeed } from '../market-data/market-data-feed.js';
import { Audience, topicOf, type MarketReader, type Owed, type Topic } from './audience.js';

export function channelAndSymbol(topic: Topic): readonly [FeedChannel, string] {
  const space = topic.indexOf(' ');
  return [topic.slice(0, space) as FeedChannel, topic.slice(space + 1)];
}

const CATCH_UP_MS = 50;
/** A tick is never longer than this, however long the flushes take. */
const TICK_MAX_MS = 250;

export class MarketFanOut {
  readonly #audiences = new Map<string, Audience>();
  readonly #byTopic = new Map<Topic, Set<Audience>>();
  readonly #audienceOf = new Map<MarketReader, Audience>();
  readonly #dirty = new Set<Audience>();
  /** Those with somebody set aside. */
  readonly #behind = new Set<Audience>();
  readonly #leave: () => void;
  #cancelTick: (() => void) | undefined;
  #cancelCatchUp: (() => void) | undefined;
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
    const owed = this.#remove(reader);
    if (topics.size === 0) return;
    const audience = this.#audienceFor(topics);
    // What is pending was published before this member came.
    this.#flushAudience(audience);
    audience.add(reader, new Map([...owed].filter(([topic]) => topics.has(topic))));
    this.#audienceOf.set(reader, audience);
    this.#watch(audience);
  }

  remove(reader: MarketReader): void {
    this.#remove(reader);
  }

  close(): void {
    this.#leave();
    this.#cancelTick?.();
    this.#cancelCatchUp?.();
    this.#audiences.clear();
    this.#byTopic.clear();
    this.#behind.clear();
  }

  #audienceFor(topics: ReadonlySet<Topic>): Audience {
    const profile = [...topics].sort().join('\n');
    const known = this.#audiences.get(profile);
    if (known !== undefined) return known;
    const audience = new Audience(profile, new Set(topics), this.options.onConflated);
    this.#audiences.set(profile, audience);
    for (const topic of topics) this.#byTopic.set(topic, (this.#byTopic.get(topic) ?? new Set()).add(audience));
    return audience;
  }

  #remove(reader: MarketReader): Owed {
    const audience = this.#audienceOf.get(reader);
    if (audience === undefined) return new Map();
    this.#flushAudience(audience);
    this.#audienceOf.delete(reader);
    const owed = audience.remove(reader);
    if (!audience.hasAside) this.#behind.delete(audience);
    if (!audience.isEmpty) return owed;
    this.#audiences.delete(audience.profile);
    for (const topic of audience.topics) {
      const audiences = this.#byTopic.get(topic);
      audiences?.delete(audience);
      if (audiences?.size === 0) this.#byTopic.delete(topic);
    }
    return owed;
  }

  #take(records: readonly FeedRecord[]): void {
    for (const record of records) {
      for (const audience of this.#byTopic.get(topicOf(record.channel, record.symbol)) ?? []) {
        audience.push(record);
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
  }

  #flushAudience(audience: Audience): void {
    this.#dirty.delete(audience);
    audience.flush();
    this.#watch(audience);
  }

  #watch(audience: Audience): void {
    if (audience.hasAside) this.#behind.add(audience);
    else this.#behind.delete(audience);
    if (this.#behind.size > 0) this.#armCatchUp();
  }

  /** At its own pace: those that keep up do not wait for those that do not. */
  #armCatchUp(): void {
    this.#cancelCatchUp ??= this.clock.after(CATCH_UP_MS, () => {
      this.#cancelCatchUp = undefined;
      for (const audience of this.#behind) {
        audience.catchUp();
        this.#watch(audience);
      }
    });
  }
}
