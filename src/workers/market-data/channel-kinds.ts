/** Which record of the shared table a channel's updates are. */
import type { RecordKind } from '../../kernel/shared-memory/quote-table.js';
import type { FeedChannel } from './market-data-feed.js';

export const KIND_OF: Readonly<Record<FeedChannel, RecordKind>> = {
  quotes: 'quote',
  trades: 'trade',
  bars: 'minute_bar',
  option_quotes: 'option_quote',
  option_trades: 'option_trade',
};
