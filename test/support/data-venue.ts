/** The market half of the simulator on a port of its own, with a clock turned by hand and one key made for the run. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomUUID } from 'node:crypto';
import { decodeTimestampToTimeSpec, decode, encode, ExtensionCodec } from '@msgpack/msgpack';
import { WebSocket } from 'ws';
import { ManualSimClock } from '../../src/simulator/clock.js';
import { dataRoutes } from '../../src/simulator/market/data-routes.js';
import { createMarketFaults, type MarketFaults } from '../../src/simulator/market/market-faults.js';
import { createMarket, type Market, type MarketOptions } from '../../src/simulator/market/market.js';
import { DataStreams } from '../../src/simulator/market/streams/data-streams.js';

export interface DataVenue {
  readonly url: string;
  readonly socketUrl: string;
  readonly clock: ManualSimClock;
  readonly market: Market;
  readonly faults: MarketFaults;
  readonly streams: DataStreams;
  readonly key: string;
  readonly secret: string;
  get(
    path: string,
    headers?: Record<string, string>,
  ): Promise<{ status: number; type: string; text: string; body: any }>;
  close(): Promise<void>;
}

/** Monday 2026-01-05, 11:00 in New York. */
export const MONDAY = Date.UTC(2026, 0, 5, 16, 0, 0);

export async function openDataVenue(
  options: Partial<MarketOptions> = {},
  settings: Partial<MarketFaults> = {},
): Promise<DataVenue> {
  const clock = new ManualSimClock(MONDAY);
  const market = createMarket({ seed: 7, clock, ...options });
  const key = `PK${randomUUID()}`;
  const secret = randomUUID();
  const keys = {
    ownerOf: (id: string | undefined, word: string | undefined) =>
      id === key && word === secret ? { accountId: 'master', isMaster: true } : undefined,
  };
  const faults = createMarketFaults({ plan: 'plus', ...settings });
  const streams = new DataStreams({ market, clock, keys, faults });
  const handle = dataRoutes(market, { clock, keys, faults });
  const server: Server = createServer((req, res) => {
    if (!handle(req, res, new URL(req.url ?? '/', 'http://venue'))) res.writeHead(404).end();
  });
  server.on('upgrade', (req, socket, head) => {
    if (!streams.upgrade(req, socket, head)) socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    socketUrl: `ws://127.0.0.1:${port}`,
    clock,
    market,
    faults,
    streams,
    key,
    secret,
    async get(path, headers = { 'APCA-API-KEY-ID': key, 'APCA-API-SECRET-KEY': secret }) {
      const res = await fetch(`${url}${path}`, { headers });
      const text = await res.text();
      const type = res.headers.get('content-type') ?? '';
      return { status: res.status, type, text, body: type.includes('json') ? JSON.parse(text) : undefined };
    },
    async close() {
      market.close();
      await streams.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A bare stream client that keeps every frame, so that a test sees the wire and not a library's view of it. */
export class StreamClient {
  readonly frames: any[] = [];
  readonly closed: Promise<number>;
  #wake: (() => void) | undefined;
  pongs = 0;

  private constructor(
    readonly socket: WebSocket,
    private readonly isMsgpack: boolean,
  ) {
    socket.on('message', (data: Buffer) => {
      this.frames.push(
        isMsgpack ? decode(data, { useBigInt64: true, extensionCodec: timestamps }) : JSON.parse(data.toString()),
      );
      this.#wake?.();
    });
    socket.on('pong', () => (this.pongs += 1));
    socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => socket.on('close', (code) => resolve(code)));
  }

  static open(url: string, codec: 'json' | 'msgpack', headers: Record<string, string> = {}): StreamClient {
    const type = codec === 'msgpack' ? { 'Content-Type': 'application/msgpack' } : {};
    return new StreamClient(new WebSocket(url, { headers: { ...type, ...headers } }), codec === 'msgpack');
  }

  send(message: unknown): void {
    this.socket.send(this.isMsgpack ? encode(message) : JSON.stringify(message));
  }

  /** The next frame not yet taken; fails after five seconds. */
  async next(): Promise<any> {
    const deadline = AbortSignal.timeout(5_000);
    while (this.frames.length === 0) {
      await new Promise<void>((resolve, reject) => {
        this.#wake = resolve;
        deadline.addEventListener('abort', () => reject(new Error('no frame came')), { once: true });
      });
    }
    return this.frames.shift();
  }

  async login(key: string, secret: string): Promise<void> {
    await this.next();
    this.send({ action: 'auth', key, secret });
    const [{ T, msg, code }] = await this.next();
    if (T !== 'success') throw new Error(`not let in: ${String(code)} ${String(msg)}`);
  }

  /** The answer to one request. */
  async ask(message: unknown): Promise<any> {
    this.send(message);
    return this.next();
  }
}

/** Timestamps stay exact: seconds and nanoseconds. */
const timestamps = new ExtensionCodec();
timestamps.register({ type: -1, encode: () => null, decode: (data) => decodeTimestampToTimeSpec(data) });
