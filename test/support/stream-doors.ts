/** The doors behind the stream edge as fakes in memory, and a stream edge on a real server in front of them. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket } from 'ws';
import type { TokenVerifier } from '../../src/kernel/auth/token-verifier.js';
import { GatewayError } from '../../src/kernel/domain/errors.js';
import { parseAccountId, type AccountId } from '../../src/kernel/domain/identifiers.js';
import type { EventPosition, OrderEvent, ResumedEvents } from '../../src/kernel/domain/order-event.js';
import type { Permission, Principal } from '../../src/kernel/domain/permissions.js';
import { silentLog } from '../../src/kernel/runtime/log.js';
import { silentMeter, type Meter } from '../../src/kernel/runtime/meter.js';
import { SystemClock } from '../../src/kernel/runtime/system-clock.js';
import type { FeedChannel, FeedRecord, MarketDataFeed } from '../../src/workers/market-data/market-data-feed.js';
import type { AccountRouter } from '../../src/workers/routing/account-router.js';
import type { OrderEventsDoor } from '../../src/workers/routing/order-events-door.js';
import { StreamEdge } from '../../src/workers/streams/stream-edge.js';

export const ACCOUNTS = ['account_001', 'account_002', 'account_003'].map(parseAccountId);

/** Tokens are what they say: `subject|permissions,…|accounts,…|expiresAt`. */
export class PlainVerifier implements TokenVerifier {
  readonly revoked = new Set<string>();

  known(): Principal | undefined {
    return undefined;
  }

  verify(token: string): Promise<Principal> {
    const [subject = '', permissions = '', accounts = '', expires = ''] = token.split('|');
    if (subject === '' || permissions === '') return Promise.reject(new GatewayError('TOKEN_INVALID'));
    return Promise.resolve({
      subject,
      tokenId: undefined,
      permissions: new Set(permissions.split(',') as Permission[]),
      accounts: accounts === '*' ? '*' : new Set(accounts.split(',') as AccountId[]),
      expiresAt: expires === '' ? Date.now() / 1000 + 3600 : Number(expires),
    });
  }

  stillKnown(principal: Principal): boolean {
    return this.stillValid(principal);
  }

  stillValid(principal: Principal): boolean {
    return !this.revoked.has(principal.subject) && principal.expiresAt > Date.now() / 1000;
  }
}

export class FakeFeed implements MarketDataFeed {
  readonly wanted = new Map<string, number>();
  readonly lastRecords = new Map<string, FeedRecord>();
  refuse = new Set<string>();
  #listeners = new Set<(records: readonly FeedRecord[]) => void>();

  subscribe(channel: FeedChannel, symbols: readonly string[]) {
    const refused = symbols.filter((symbol) => this.refuse.has(symbol));
    for (const symbol of symbols) if (!this.refuse.has(symbol)) this.#count(`${channel} ${symbol}`, 1);
    return Promise.resolve({ refused });
  }

  unsubscribe(channel: FeedChannel, symbols: readonly string[]): void {
    for (const symbol of symbols) this.#count(`${channel} ${symbol}`, -1);
  }

  last(channel: FeedChannel, symbol: string): FeedRecord | undefined {
    return this.lastRecords.get(`${channel} ${symbol}`);
  }

  onRecords(listen: (records: readonly FeedRecord[]) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  publish(...records: FeedRecord[]): void {
    for (const record of records) this.lastRecords.set(`${record.channel} ${record.symbol}`, record);
    for (const listen of this.#listeners) listen(records);
  }

  #count(topic: string, by: number): void {
    const count = (this.wanted.get(topic) ?? 0) + by;
    if (count === 0) this.wanted.delete(topic);
    else this.wanted.set(topic, count);
  }
}

export function aQuote(symbol: string, bid: number, padding = ''): FeedRecord {
  const json = JSON.stringify({ type: 'quote', symbol, bid_price: bid, ...(padding && { padding }) });
  return { channel: 'quotes', symbol, json, receivedAt: 0 };
}

/** An owner's ring. `publish` can lose the live event, as a broken mesh would. */
export class FakeEvents implements OrderEventsDoor {
  readonly ring = new Map<AccountId, OrderEvent[]>();
  readonly resumes: string[] = [];
  forgotten: ResumedEvents['gaps'] = [];
  away = false;
  #listeners = new Set<(event: OrderEvent) => void>();
  #stateListeners = new Set<(accountId: AccountId, state: 'ready' | 'degraded') => void>();

  publish(
    accountId: AccountId,
    options: { epoch?: number; lost?: boolean; reconciled?: boolean; note?: string } = {},
  ): OrderEvent {
    const ring = this.ring.get(accountId) ?? [];
    const epoch = options.epoch ?? ring.at(-1)?.epoch ?? 1;
    const seq = ring.filter((event) => event.epoch === epoch).length + 1;
    const event = anOrderEvent(accountId, { epoch, seq }, options.reconciled === true, options.note);
    this.ring.set(accountId, [...ring, event]);
    if (options.lost !== true) for (const listen of this.#listeners) listen(event);
    return event;
  }

  repeat(event: OrderEvent): void {
    for (const listen of this.#listeners) listen(event);
  }

  setState(accountId: AccountId, state: 'ready' | 'degraded'): void {
    for (const listen of this.#stateListeners) listen(accountId, state);
  }

  onEvent(listen: (event: OrderEvent) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  onState(listen: (accountId: AccountId, state: 'ready' | 'degraded') => void): () => void {
    this.#stateListeners.add(listen);
    return () => this.#stateListeners.delete(listen);
  }

  position(accountId: AccountId): Promise<EventPosition> {
    if (this.away) return Promise.reject(new GatewayError('PEER_GONE'));
    const last = this.ring.get(accountId)?.at(-1);
    return Promise.resolve({ epoch: last?.epoch ?? 1, seq: last?.seq ?? 0 });
  }

  resume(accountId: AccountId, after: EventPosition): Promise<ResumedEvents> {
    if (this.away) return Promise.reject(new GatewayError('PEER_GONE'));
    this.resumes.push(`${accountId} ${after.epoch}/${after.seq}`);
    const isLost = ({ epoch, seq }: EventPosition): boolean =>
      this.forgotten.some((gap) => gap.epoch === epoch && seq >= gap.from && seq <= gap.to);
    const events = (this.ring.get(accountId) ?? []).filter(
      (event) =>
        (event.epoch > after.epoch || (event.epoch === after.epoch && event.seq > after.seq)) && !isLost(event),
    );
    return Promise.resolve({ events, gaps: this.forgotten.filter((gap) => gap.to > after.seq) });
  }
}

export function anOrderEvent(
  accountId: AccountId,
  { epoch, seq }: EventPosition,
  reconciled = false,
  note = 'a } \\" ,',
): OrderEvent {
  const data = `{"event":"fill","price":"172.50","order":{"id":"o${seq}","qty":"1.0","note":"${note}"},"timestamp":"t"}`;
  return { accountId, epoch, seq, event: 'fill', timestamp: '2026-01-05T15:00:00Z', data, reconciled };
}

export interface StreamUnderTest {
  readonly url: string;
  readonly feed: FakeFeed;
  readonly events: FakeEvents;
  readonly verifier: PlainVerifier;
  readonly accounts: AccountId[];
  readonly edge: StreamEdge;
  connect(token: string, options?: { viaProtocol?: boolean; origin?: string; query?: string }): Promise<StreamClient>;
  connectBare(): Promise<StreamClient>;
  close(): Promise<void>;
}

export const STREAM_LIMITS = {
  flushIntervalMs: 2,
  authTimeoutMs: 300,
  messageBytesMax: 16_384,
  controlMessagesPerSecond: 20,
  subscriptionsMax: 100,
  socketsPerSubject: 5,
  socketsPerAddress: 20,
  bufferedBytesMax: 65_536,
  orderBacklogMax: 50,
  ringSize: 100,
  allowedOrigins: ['https://desk.example'],
  pingIntervalMs: 400,
};

export async function aStreamEdge(
  overrides: Partial<typeof STREAM_LIMITS> = {},
  meter: Meter = silentMeter,
): Promise<StreamUnderTest> {
  const [feed, events, verifier, accounts] = [new FakeFeed(), new FakeEvents(), new PlainVerifier(), [...ACCOUNTS]];
  const router: AccountRouter = {
    accountIds: () => accounts,
    exists: (accountId) => accounts.includes(accountId),
    execute: () => Promise.reject(new Error('not asked')),
    report: () => undefined,
    orderIdOf: () => undefined,
  };
  const edge = new StreamEdge({
    ...{ feed, events, verifier, router, log: silentLog, meter },
    clock: new SystemClock(),
    config: { ...STREAM_LIMITS, ...overrides },
  });
  const server = createServer();
  server.on('upgrade', (req, socket, head) => void edge.handleUpgrade(req, socket, head, { address: '127.0.0.1' }));
  const url = await listen(server);
  return {
    ...{ url, feed, events, verifier, accounts, edge },
    connect: (token, options = {}) => connect(url, token, options),
    connectBare: () => StreamClient.open(new WebSocket(url)),
    close: async () => {
      await edge.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function connect(url: string, token: string, options: { viaProtocol?: boolean; origin?: string; query?: string }) {
  const address = `${url}${options.query ?? ''}`;
  const origin = options.origin === undefined ? {} : { origin: options.origin };
  const socket =
    options.viaProtocol === true
      ? new WebSocket(address, [`bearer.${token}`], origin)
      : new WebSocket(address, { ...origin, headers: { authorization: `Bearer ${token}` } });
  return StreamClient.open(socket);
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `ws://127.0.0.1:${(server.address() as AddressInfo).port}/api/v1/stream`;
}

export type StreamRecord = Readonly<Record<string, any>>;

/** A client that keeps every record; `next` waits for one that satisfies, with a deadline. */
export class StreamClient {
  readonly records: StreamRecord[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  #wake: (() => void) | undefined;
  #read = 0;

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (data: Buffer) => {
      const value = JSON.parse(data.toString()) as StreamRecord | StreamRecord[];
      this.records.push(...(Array.isArray(value) ? value : [value]));
      this.#wake?.();
    });
    this.closed = new Promise((resolve) => {
      socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }));
    });
  }

  /** Rejects with the HTTP status when the upgrade is refused. */
  static open(socket: WebSocket): Promise<StreamClient> {
    const client = new StreamClient(socket);
    return new Promise((resolve, reject) => {
      socket.once('open', () => resolve(client));
      socket.once('unexpected-response', (_req, res) => {
        reject(new Error(`HTTP ${res.statusCode}`));
        res.destroy();
      });
      socket.on('error', (cause) => reject(cause));
    });
  }

  say(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  /** The next record of a type, in order; what came before it is passed over. */
  async next(type: string, deadlineMs = 15_000): Promise<StreamRecord> {
    const end = Date.now() + deadlineMs;
    for (;;) {
      while (this.#read < this.records.length) {
        const record = this.records[this.#read];
        this.#read += 1;
        if (record?.['type'] === type) return record;
      }
      const left = end - Date.now();
      if (left <= 0) throw new Error(`no ${type}; got ${JSON.stringify(this.records.slice(-5))}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  close(): void {
    this.socket.terminate();
  }
}
