/**
 * One connection to a market-data feed, through the SDK's stream classes; raw msgpack frames go out. It does not
 * reconnect and decides nothing: what an end or an error means is the hub's business.
 */
import { decodeMulti } from '@msgpack/msgpack';
import { streaming } from '@alpacahq/alpaca-trade-api';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { KeyPair } from './broker-wire.js';
import { openRawSocket, type RawSocket } from './raw-socket.js';

export interface DataStreamOptions {
  /** `wss://stream.data.alpaca.markets/v2/iex`; options under `/v1beta1/`. */
  readonly url: string;
  readonly keys: KeyPair;
  /** From the first byte to `authenticated`. */
  readonly openTimeoutMs: number;
  /** A ping that is not answered within one more interval ends the socket. */
  readonly pingIntervalMs: number;
}

export interface DataStreamEvents {
  onReady(): void;
  onFrame(frame: Uint8Array): void;
  /** Once. `code` is Alpaca's stream error (docs/broker-wire.md#data-stream-errors), when it said one. */
  onEnd(end: { readonly code?: number; readonly detail: string }): void;
}

type DataChannel = 'quotes' | 'trades' | 'bars';
type SymbolLists = Readonly<Partial<Record<DataChannel, readonly string[]>>>;

export interface OpenDataStream {
  subscribe(symbols: SymbolLists): void;
  unsubscribe(symbols: SymbolLists): void;
  close(): void;
}

/** Errors after which the broker keeps the connection useless though open: the hub is told that it ended. */
const ENDING_CODES = new Set([402, 404, 406, 409, 411, 412]);

export function openDataStream(options: DataStreamOptions, events: DataStreamEvents, clock: Clock): OpenDataStream {
  return new DataConnection(options, events, clock);
}

class DataConnection implements OpenDataStream {
  readonly #stream: streaming.StockDataStream | streaming.OptionDataStream;
  #socket: RawSocket | undefined;
  #isReady = false;
  #isPinged = false;
  #lastError: { code: number; detail: string } | undefined;
  #detail: string | undefined;
  #cancelTimer: () => void;

  constructor(
    private readonly options: DataStreamOptions,
    private readonly events: DataStreamEvents,
    private readonly clock: Clock,
  ) {
    this.#cancelTimer = clock.after(options.openTimeoutMs, () => this.#cut('not authenticated in time'));
    const shared: streaming.MarketDataStreamOptions = {
      credentials: { keyId: options.keys.keyId, secret: options.keys.secretKey },
      url: options.url,
      reconnect: false,
      wsFactory: (url) => this.#openSocket(url),
    };
    const isOptions = options.url.includes('/v1beta1/');
    this.#stream = isOptions ? new streaming.OptionDataStream(shared) : new streaming.StockDataStream(shared);
    // The frames tell the code; the SDK's own event keeps only the text.
    this.#stream.on(streaming.EVENT.CLIENT_ERROR, () => undefined);
    try {
      this.#stream.connect();
    } catch (cause) {
      // An address that is none; the caller has its hands on the stream before it hears of the end.
      this.#cancelTimer();
      queueMicrotask(() => this.events.onEnd({ detail: cause instanceof Error ? cause.message : String(cause) }));
    }
  }

  subscribe(symbols: SymbolLists): void {
    if (symbols.quotes?.length) this.#stream.subscribeForQuotes([...symbols.quotes]);
    if (symbols.trades?.length) this.#stream.subscribeForTrades([...symbols.trades]);
    if (symbols.bars?.length) this.#stream.subscribeForBars([...symbols.bars]);
  }

  unsubscribe(symbols: SymbolLists): void {
    if (symbols.quotes?.length) this.#stream.unsubscribeFromQuotes([...symbols.quotes]);
    if (symbols.trades?.length) this.#stream.unsubscribeFromTrades([...symbols.trades]);
    if (symbols.bars?.length) this.#stream.unsubscribeFromBars([...symbols.bars]);
  }

  close(): void {
    this.#cut('closed by us');
  }

  #openSocket(url: string): streaming.WebSocketLike {
    this.#socket = openRawSocket(url, true, {
      onPong: () => (this.#isPinged = false),
      onFrame: (frame) => this.#hear(frame),
      onClose: (code, reason) => {
        this.#cancelTimer();
        this.#stream.disconnect();
        const detail = this.#detail ?? this.#lastError?.detail ?? `closed with ${code} ${reason}`.trim();
        this.events.onEnd({ detail, ...(this.#lastError !== undefined && { code: this.#lastError.code }) });
      },
    });
    return this.#socket.forSdk;
  }

  /** The SDK hears control frames only: decoding every quote into its models costs more than all the rest. */
  #hear(frame: Buffer): boolean {
    const isControl = looksLikeControl(frame);
    if (isControl) this.#note(frame);
    this.events.onFrame(frame);
    return isControl;
  }

  #note(frame: Buffer): void {
    for (const record of recordsOf(frame)) {
      if (record.T === 'success' && record.msg === 'authenticated') this.#ready();
      if (record.T !== 'error' || typeof record.code !== 'number') continue;
      this.#lastError = { code: record.code, detail: String(record.msg) };
      if (ENDING_CODES.has(record.code)) this.#cut(String(record.msg));
    }
  }

  #ready(): void {
    if (this.#isReady) return;
    this.#isReady = true;
    this.#cancelTimer();
    this.#armBeat();
    // The SDK must see the frame first: it sends subscriptions only once it knows that it is authenticated.
    queueMicrotask(() => this.events.onReady());
  }

  #armBeat(): void {
    this.#cancelTimer = this.clock.after(this.options.pingIntervalMs, () => {
      if (this.#isPinged) {
        this.#cut('no answer to a ping');
        return;
      }
      this.#isPinged = true;
      this.#socket?.ping();
      this.#armBeat();
    });
  }

  #cut(why: string): void {
    this.#detail ??= why;
    this.#socket?.terminate();
  }
}

interface ControlRecord {
  readonly T?: unknown;
  readonly msg?: unknown;
  readonly code?: unknown;
}

/** Control messages come alone and name themselves within their first bytes; a data record's `T` is one letter. */
function looksLikeControl(frame: Buffer): boolean {
  const start = frame.toString('latin1', 0, 96);
  return start.includes('success') || start.includes('error') || start.includes('subscription');
}

function recordsOf(frame: Buffer): readonly ControlRecord[] {
  try {
    return [...decodeMulti(frame)].flat() as ControlRecord[];
  } catch {
    return [];
  }
}
