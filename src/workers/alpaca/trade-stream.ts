/**
 * One account's trade updates, kept up for as long as it is open. States: `connecting` (a socket is tried, authenticated
 * and subscribed), `up` (the broker acknowledged `listen`), `waiting` (the next try's time has not come), `closed`.
 * A socket that is silent past its ping, or never gets as far as `listening`, is cut: nothing else would notice.
 */
import { streaming } from '@alpacahq/alpaca-trade-api';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { KeyPair } from './broker-wire.js';
import { openRawSocket, type RawSocket, type RawSocketHooks } from './raw-socket.js';

export interface TradeStreamOptions {
  readonly url: string;
  readonly keys: KeyPair;
  /** From the first byte to the acknowledged `listen`. */
  readonly openTimeoutMs: number;
  /** A ping that is not answered within one more interval ends the socket. */
  readonly pingIntervalMs: number;
  readonly backOffMinMs: number;
  readonly backOffMaxMs: number;
}

export interface TradeStreamEvents {
  /** Updates from here on are heard. After the first time, whatever happened since `onDown` was not. */
  onUp(): void;
  onDown(end: { readonly isRefused: boolean; readonly detail: string }): void;
  /** The broker answered a ping: what was heard until now is all there was. */
  onAlive(): void;
  /** The whole frame as the broker sent it. */
  onUpdate(frame: Buffer): void;
}

const UPDATE_START = /^\s*\{\s*"stream"\s*:\s*"trade_updates"/;

export class TradeStream {
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #connection: Connection | undefined;

  constructor(
    private readonly options: TradeStreamOptions,
    private readonly events: TradeStreamEvents,
    private readonly clock: Clock,
    /** In [0, 1). */
    private readonly jitter: () => number,
  ) {
    this.#running = this.#run();
  }

  /** Resolves when everything that the broker sent until now has been heard, or the socket has ended. */
  async heardUntilNow(): Promise<void> {
    await this.#connection?.heardUntilNow();
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#connection?.cut('closing');
    await this.#running;
  }

  async #run(): Promise<void> {
    let backOffMs = this.options.backOffMinMs;
    while (!this.#isClosing()) {
      const end = await this.#once();
      if (this.#isClosing()) return;
      this.events.onDown(end);
      if (end.wasUp) backOffMs = this.options.backOffMinMs;
      await this.clock.sleep(backOffMs * (0.5 + this.jitter()), this.#stop.signal);
      backOffMs = Math.min(this.options.backOffMaxMs, backOffMs * 2);
    }
  }

  #isClosing(): boolean {
    return this.#stop.signal.aborted;
  }

  /** One connection, from its first byte to its end. */
  #once(): Promise<ConnectionEnd> {
    return new Promise((resolve) => {
      const connection = new Connection(this.options, this.events, this.clock, resolve);
      this.#connection = connection;
      connection.open();
    });
  }
}

interface ConnectionEnd {
  readonly isRefused: boolean;
  readonly wasUp: boolean;
  readonly detail: string;
}

class Connection {
  readonly #stream: streaming.TradingStream;
  #socket: RawSocket | undefined;
  #wasUp = false;
  #isRefused = false;
  #isPinged = false;
  #detail = '';
  #cancelTimer: () => void;
  readonly #asked = new Map<string, () => void>();

  constructor(
    private readonly options: TradeStreamOptions,
    private readonly events: TradeStreamEvents,
    private readonly clock: Clock,
    private readonly resolve: (end: ConnectionEnd) => void,
  ) {
    this.#cancelTimer = clock.after(options.openTimeoutMs, () => this.cut('not listening in time'));
    this.#stream = new streaming.TradingStream({
      credentials: { keyId: options.keys.keyId, secret: options.keys.secretKey },
      url: options.url,
      reconnect: false,
      wsFactory: (url) => {
        this.#socket = openRawSocket(url, false, this.#hooks());
        return this.#socket.forSdk;
      },
    });
  }

  open(): void {
    this.#stream.on(streaming.EVENT.CLIENT_ERROR, (cause: unknown) => {
      this.#isRefused ||= cause === 'auth failed';
      this.#detail ||= textOf(cause);
      if (this.#isRefused) this.#socket?.terminate();
    });
    this.#stream.on(streaming.EVENT.SUBSCRIPTION, (streams: unknown) => this.#listening(streams));
    this.#stream.subscribeTradeUpdates();
    try {
      this.#stream.connect();
    } catch (cause) {
      this.cut(textOf(cause));
    }
  }

  cut(why: string): void {
    this.#detail = why;
    if (this.#socket === undefined) this.#end();
    else this.#socket.terminate();
  }

  /** An answer to an earlier ping proves nothing of now, so this one has a name. Unanswered, it is cut by the beat at the latest. */
  heardUntilNow(): Promise<void> {
    if (!this.#wasUp) return Promise.resolve();
    return new Promise((resolve) => {
      const name = `until-${this.#asked.size}-${Math.round(this.clock.monotonicMs())}`;
      this.#asked.set(name, resolve);
      this.#socket?.ping(name);
    });
  }

  #end(): void {
    this.#cancelTimer();
    for (const resolve of this.#asked.values()) resolve();
    this.#stream.disconnect();
    this.resolve({ isRefused: this.#isRefused, wasUp: this.#wasUp, detail: this.#detail });
  }

  #hooks(): RawSocketHooks {
    return {
      onPong: (payload) => {
        this.#isPinged = false;
        this.#asked.get(payload)?.();
        this.events.onAlive();
      },
      onFrame: (frame) => {
        if (!isUpdate(frame)) return true;
        this.events.onUpdate(frame);
        return false;
      },
      onClose: (code, reason) => {
        this.#detail ||= `closed with ${code} ${reason}`.trim();
        this.#end();
      },
    };
  }

  #listening(streams: unknown): void {
    if (this.#wasUp || !Array.isArray(streams) || !streams.includes('trade_updates')) return;
    this.#wasUp = true;
    this.#cancelTimer();
    this.#armBeat();
    this.events.onUp();
  }

  #armBeat(): void {
    this.#cancelTimer = this.clock.after(this.options.pingIntervalMs, () => {
      if (this.#isPinged) {
        this.cut('no answer to a ping');
        return;
      }
      this.#isPinged = true;
      this.#socket?.ping();
      this.#armBeat();
    });
  }
}

/** By its first bytes; the rare frame whose members stand in another order is parsed. */
function isUpdate(frame: Buffer): boolean {
  if (UPDATE_START.test(frame.toString('latin1', 0, 64))) return true;
  if (frame.length < 200 || !frame.includes('"trade_updates"')) return false;
  try {
    return (JSON.parse(frame.toString()) as { stream?: unknown }).stream === 'trade_updates';
  } catch {
    return false;
  }
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
