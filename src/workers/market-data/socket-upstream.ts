/**
 * One key pair's data side on real sockets: GETs over pools that all keys of a worker share, and msgpack streams. It
 * makes one attempt and one connection at a time and decides nothing. Keys travel in headers and in the auth message
 * only, never in an address or a log line.
 */
import { decode, encode } from '@msgpack/msgpack';
import { errors, Pool } from 'undici';
import { WebSocket } from 'ws';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import { isRecord } from '../../kernel/shared-memory/record-text.js';
import type {
  ChannelSymbols,
  DataStream,
  DataWire,
  StreamEvents,
  UpstreamAccount,
  UpstreamHost,
  WireReply,
} from './upstream.js';

export interface UpstreamOrigins {
  /** Such as https://data.alpaca.markets */
  readonly data: string;
  /** The trading host of the account: paper or live. */
  readonly trading: string;
  /** Such as wss://stream.data.alpaca.markets, without a feed. */
  readonly streamData: string;
}

export interface KeyPair {
  readonly accountId: AccountId;
  readonly apiKey: string;
  readonly secretKey: string;
}

/** Sockets to the data and trading hosts, shared by the master and its stand-ins. Whoever builds them closes them. */
export class UpstreamPools {
  readonly #pools = new Map<string, Pool>();

  constructor(private readonly connections: number) {}

  of(origin: string): Pool {
    const known = this.#pools.get(origin);
    if (known !== undefined) return known;
    // Alpaca sends no keep-alive hint, and undici's own default of 4 s would cool every socket between two reads.
    const pool = new Pool(origin, {
      connections: this.connections,
      keepAliveTimeout: 55_000,
      keepAliveMaxTimeout: 600_000,
    });
    this.#pools.set(origin, pool);
    return pool;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.destroy()));
    this.#pools.clear();
  }
}

const HANDSHAKE_TIMEOUT_MS = 10_000;
const PING_EVERY_MS = 10_000;
const PONG_WITHIN_MS = 5_000;
const FRAME_BYTES_MAX = 16 * 1_048_576;

export class SocketUpstream implements UpstreamAccount {
  readonly accountId: AccountId;
  readonly wire: DataWire;

  constructor(
    private readonly key: KeyPair,
    private readonly origins: UpstreamOrigins,
    private readonly pools: UpstreamPools,
    private readonly clock: Clock,
  ) {
    this.accountId = key.accountId;
    this.wire = { get: (host, path, { deadlineMs }) => this.#get(host, path, deadlineMs) };
  }

  openStream(path: string, events: StreamEvents): DataStream {
    return new SocketStream(`${this.origins.streamData}/${path}`, this.key, events, this.clock);
  }

  async #get(host: UpstreamHost, path: string, deadlineMs: number): Promise<WireReply> {
    const timeout = new AbortController();
    const cancel = this.clock.after(Math.max(0, deadlineMs), () => {
      timeout.abort();
    });
    try {
      const answer = await this.pools.of(host === 'data' ? this.origins.data : this.origins.trading).request({
        method: 'GET',
        path,
        headers: { 'APCA-API-KEY-ID': this.key.apiKey, 'APCA-API-SECRET-KEY': this.key.secretKey },
        signal: timeout.signal,
      });
      const body = new Uint8Array(await answer.body.arrayBuffer());
      return { kind: 'answered', status: answer.statusCode, headers: flat(answer.headers), body };
    } catch (cause) {
      const isTimeout = timeout.signal.aborted || cause instanceof errors.ConnectTimeoutError;
      return { kind: 'failed', isTimeout, detail: cause instanceof Error ? cause.message : 'the connection failed' };
    } finally {
      cancel();
    }
  }
}

class SocketStream implements DataStream {
  readonly #socket: WebSocket;
  #isReady = false;
  #isOver = false;
  #cancelPing: () => void = () => undefined;

  constructor(
    url: string,
    private readonly key: KeyPair,
    private readonly events: StreamEvents,
    private readonly clock: Clock,
  ) {
    this.#socket = new WebSocket(url, {
      headers: { 'Content-Type': 'application/msgpack' },
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: FRAME_BYTES_MAX,
      perMessageDeflate: false,
    });
    this.#socket.on('open', () => {
      this.#send({ action: 'auth', key: this.key.apiKey, secret: this.key.secretKey });
    });
    this.#socket.on('message', (data: Buffer) => {
      if (this.#isReady) this.events.onFrame(data);
      else this.#greeting(data);
    });
    this.#socket.on('pong', () => {
      this.#cancelPing();
      this.#pingLater();
    });
    this.#socket.on('error', (cause) => {
      this.#end({ detail: cause.message });
    });
    this.#socket.on('close', (code) => {
      this.#end({ detail: `closed with ${String(code)}` });
    });
  }

  subscribe(symbols: ChannelSymbols): void {
    this.#send({ action: 'subscribe', ...symbols });
  }

  unsubscribe(symbols: ChannelSymbols): void {
    this.#send({ action: 'unsubscribe', ...symbols });
  }

  close(): void {
    this.#isOver = true;
    this.#cancelPing();
    // A polite close frees the connection at the broker at once; a half-dead one would be counted for a while.
    this.#socket.close();
    this.clock.after(1_000, () => {
      this.#socket.terminate();
    });
  }

  #greeting(frame: Buffer): void {
    let records: unknown;
    try {
      records = decode(frame);
    } catch {
      return;
    }
    for (const record of Array.isArray(records) ? records : []) {
      if (!isRecord(record)) continue;
      if (record['T'] === 'error') this.#end({ code: Number(record['code']), detail: String(record['msg']) });
      if (record['T'] === 'success' && record['msg'] === 'authenticated') this.#ready();
    }
  }

  #ready(): void {
    if (this.#isReady || this.#isOver) return;
    this.#isReady = true;
    this.#pingLater();
    this.events.onReady();
  }

  #pingLater(): void {
    this.#cancelPing = this.clock.after(PING_EVERY_MS, () => {
      if (this.#socket.readyState !== WebSocket.OPEN) return;
      this.#socket.ping();
      this.#cancelPing = this.clock.after(PONG_WITHIN_MS, () => {
        this.#end({ detail: 'a ping was not answered' });
      });
    });
  }

  #send(message: Readonly<Record<string, unknown>>): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(encode(message));
  }

  #end(end: { readonly code?: number; readonly detail: string }): void {
    if (this.#isOver) return;
    this.close();
    this.events.onEnd(end);
  }
}

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : (value ?? '')]),
  );
}
