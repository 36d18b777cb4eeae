/**
 * The broker's data side as this area needs it: one account's REST and stream, whoever implements them. Neither retries
 * nor reconnects: what an end or a status means is decided here, above the wire.
 */
import type { AccountId } from '../../kernel/domain/identifiers.js';

/** Quotes, bars and chains live on the data host; assets, clock, calendar and contracts on the trading host. */
export type UpstreamHost = 'data' | 'trading';

export type WireReply =
  | {
      readonly kind: 'answered';
      readonly status: number;
      /** Lower-case names. */
      readonly headers: Readonly<Record<string, string>>;
      /** Empty where `pieces` hold it. */
      readonly body: Uint8Array;
      /** Of a 200 that was asked for in pieces: as they came. */
      readonly pieces?: readonly Uint8Array[];
    }
  | { readonly kind: 'failed'; readonly isTimeout: boolean; readonly detail: string };

export interface WireOptions {
  readonly deadlineMs: number;
  /** The body is for a thread. */
  readonly inPieces?: boolean;
}

export interface DataWire {
  /** One attempt of a GET; `path` with its query. Never rejects. */
  get(host: UpstreamHost, path: string, options: WireOptions): Promise<WireReply>;
}

export type UpstreamChannel = 'quotes' | 'trades' | 'bars';
export type ChannelSymbols = Readonly<Partial<Record<UpstreamChannel, readonly string[]>>>;

/**
 * Why a connection ended; `code` is Alpaca's stream error (docs/broker-wire.md#data-stream-errors), when it said one.
 */
export interface StreamEnd {
  readonly code?: number;
  readonly detail: string;
}

export interface StreamEvents {
  /** Authenticated: subscribe now. */
  onReady(): void;
  /** A raw msgpack frame: an array of records, control messages included. */
  onFrame(frame: Uint8Array): void;
  /** Once, at the end of the connection, also when it never opened. */
  onEnd(end: StreamEnd): void;
}

export interface DataStream {
  subscribe(symbols: ChannelSymbols): void;
  unsubscribe(symbols: ChannelSymbols): void;
  close(): void;
}

/** One key pair with everything that can be done with it here. */
export interface UpstreamAccount {
  readonly accountId: AccountId;
  readonly wire: DataWire;
  /** `path` such as `v2/iex` or `v1beta1/indicative`. One connection, no reconnect. */
  openStream(path: string, events: StreamEvents): DataStream;
}
