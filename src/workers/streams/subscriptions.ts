/** What one socket is subscribed to. Pure bookkeeping: who is told what is decided by the connection. */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import { FEED_CHANNELS, type FeedChannel } from '../market-data/market-data-feed.js';
import type { ChannelLists } from './client-message.js';
import { topicOf, type Topic } from './audience.js';
import { channelAndSymbol } from './market-fan-out.js';

export const ALL_ACCOUNTS = '*';

export class Subscriptions {
  readonly topics = new Set<Topic>();
  readonly orders = new Set<AccountId>();
  readonly status = new Set<AccountId>();
  /** `*` was asked for: accounts added later belong to it too. */
  allOrders = false;
  allStatus = false;

  get size(): number {
    return this.topics.size + this.orders.size + this.status.size;
  }

  symbolsOf(channel: FeedChannel): readonly string[] {
    return [...this.topics].map(channelAndSymbol).flatMap(([of, symbol]) => (of === channel ? [symbol] : []));
  }

  /** The full set, as every action is acknowledged. */
  text(): string {
    const lists = Object.fromEntries(FEED_CHANNELS.map((channel) => [channel, this.symbolsOf(channel)]));
    return JSON.stringify({
      type: 'subscription',
      ...lists,
      orders: this.allOrders ? [ALL_ACCOUNTS] : [...this.orders],
      status: this.allStatus ? [ALL_ACCOUNTS] : [...this.status],
    });
  }
}

export function topicsOf(lists: ChannelLists): readonly Topic[] {
  return [...lists.feeds].flatMap(([channel, symbols]) => symbols.map((symbol) => topicOf(channel, symbol)));
}
