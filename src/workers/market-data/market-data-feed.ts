/**
 * Live market data as the stream edge sees it. Subscriptions are counted over all workers and clients by the hub; this
 * worker is told of every update that it asked for, whichever worker runs the hub.
 */
export const FEED_CHANNELS = ['quotes', 'trades', 'bars', 'option_quotes', 'option_trades'] as const;
export type FeedChannel = (typeof FEED_CHANNELS)[number];

/** One update as it is sent to clients (docs/api.md#stream), encoded once per worker. */
export interface FeedRecord {
  readonly channel: FeedChannel;
  readonly symbol: string;
  /** The finished JSON record, `{"type":"quote","symbol":"AAPL",…}`. */
  readonly json: string;
  /** When the hub received it, milliseconds of the wall clock. */
  readonly receivedAt: number;
}

export interface MarketDataFeed {
  /** Counted: as many `unsubscribe` calls end it. Refused symbols (over the plan's limit) are answered by name. */
  subscribe(channel: FeedChannel, symbols: readonly string[]): Promise<{ readonly refused: readonly string[] }>;
  unsubscribe(channel: FeedChannel, symbols: readonly string[]): void;
  /** The last known value from the shared table, for a new subscriber; undefined when there is none. */
  last(channel: FeedChannel, symbol: string): FeedRecord | undefined;
  onRecords(listen: (records: readonly FeedRecord[]) => void): () => void;
}
