/** Connects sockets to market data: the upstream feed is asked once per topic of this worker, however many want it. */
import type { FeedChannel, MarketDataFeed } from '../market-data/market-data-feed.js';
import { topicOf, type MarketReader, type Topic } from './audience.js';
import { channelAndSymbol, type MarketFanOut } from './market-fan-out.js';

export class MarketSubscriptions {
  readonly #wanted = new Map<Topic, number>();

  constructor(
    private readonly feed: MarketDataFeed,
    private readonly fanOut: MarketFanOut,
  ) {}

  /** Adds topics to a reader's set; the symbols that upstream refused are not added and are returned. */
  async add(reader: MarketReader, held: Set<Topic>, topics: readonly Topic[]): Promise<readonly string[]> {
    if (topics.length === 0) return [];
    const fresh = topics.filter((topic) => this.#count(topic, 1) === 1);
    const refused = new Set<Topic>();
    for (const [channel, symbols] of byChannel(fresh)) {
      const answer = await this.feed.subscribe(channel, symbols);
      for (const symbol of answer.refused) refused.add(topicOf(channel, symbol));
    }
    for (const topic of refused) this.#count(topic, -1);
    for (const topic of topics) if (!refused.has(topic)) held.add(topic);
    this.fanOut.setTopics(reader, held);
    return [...refused].map((topic) => channelAndSymbol(topic)[1]);
  }

  remove(reader: MarketReader, held: Set<Topic>, topics: readonly Topic[]): void {
    const ended = topics.filter((topic) => held.delete(topic)).filter((topic) => this.#count(topic, -1) === 0);
    if (topics.length === 0) return;
    for (const [channel, symbols] of byChannel(ended)) this.feed.unsubscribe(channel, symbols);
    this.fanOut.setTopics(reader, held);
  }

  forget(reader: MarketReader): void {
    this.fanOut.remove(reader);
  }

  /** The last known values, marked as such. */
  snapshots(topics: readonly Topic[]): readonly string[] {
    return topics.flatMap((topic) => {
      const last = this.feed.last(...channelAndSymbol(topic));
      return last === undefined ? [] : [`${last.json.slice(0, -1)},"snapshot":true}`];
    });
  }

  #count(topic: Topic, by: 1 | -1): number {
    const count = (this.#wanted.get(topic) ?? 0) + by;
    if (count === 0) this.#wanted.delete(topic);
    else this.#wanted.set(topic, count);
    return count;
  }
}

function byChannel(topics: readonly Topic[]): ReadonlyMap<FeedChannel, readonly string[]> {
  const lists = new Map<FeedChannel, string[]>();
  for (const [channel, symbol] of topics.map(channelAndSymbol)) {
    const symbols = lists.get(channel) ?? [];
    symbols.push(symbol);
    lists.set(channel, symbols);
  }
  return lists;
}
