/** The newest quote that this worker can see without a call, for the price collar. */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { MarketDataFeed } from '../market-data/market-data-feed.js';
import type { MarkSource } from '../orders/ports.js';

const OPTION_SYMBOL = /\d{6}[CP]\d{8}$/;

export function marksFrom(feed: MarketDataFeed, clock: Clock): MarkSource {
  return {
    quote: (symbol) => {
      const record = feed.last(OPTION_SYMBOL.test(symbol) ? 'option_quotes' : 'quotes', symbol);
      if (record === undefined) return undefined;
      const { bid_price: bid, ask_price: ask } = JSON.parse(record.json) as {
        bid_price?: unknown;
        ask_price?: unknown;
      };
      if (typeof bid !== 'number' || typeof ask !== 'number') return undefined;
      return { bidPrice: String(bid), askPrice: String(ask), ageMs: clock.now() - record.receivedAt };
    },
  };
}
