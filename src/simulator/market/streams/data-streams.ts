/**
 * The data streams of the venue: which feeds exist, who is let in, and the fan-out of what the market publishes. One
 * connection per feed and key; a broken key is thrown out in the middle of a session. Mounted by the frame.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { SimClock } from '../../clock.js';
import type { KeyRing, StreamFaults, StreamMeter, StreamMount } from '../../doors.js';
import { TEST_SYMBOL } from '../assets.js';
import type { Market } from '../market.js';
import type { MarketFaults } from '../market-faults.js';
import { MINUTE_MS } from '../new-york.js';
import type { Update } from '../records.js';
import { createCodecs, recordOf, type CodecName } from './codec.js';
import { DataSession, type SessionHost } from './data-session.js';
import type { ErrorCode, FeedRules } from './subscriptions.js';

export interface DataStreamParts {
  readonly market: Market;
  readonly clock: SimClock;
  readonly keys: KeyRing;
  readonly faults: MarketFaults;
  readonly streamFaults?: StreamFaults;
  readonly meter?: StreamMeter;
  /** Offered to clients that ask for it. Default false: it costs more than everything else together. */
  readonly compress?: boolean;
}

interface Feed {
  readonly isOption: boolean;
  readonly isTest: boolean;
  readonly needsPlus: boolean;
  readonly delayMs: number;
}

const STOCKS: Feed = { isOption: false, isTest: false, needsPlus: false, delayMs: 0 };
const FEEDS: Readonly<Record<string, Feed>> = {
  'v2/iex': STOCKS,
  'v2/sip': { ...STOCKS, needsPlus: true },
  'v2/delayed_sip': { ...STOCKS, delayMs: 15 * MINUTE_MS },
  'v2/test': { ...STOCKS, isTest: true },
  'v1beta1/opra': { ...STOCKS, isOption: true, needsPlus: true },
  'v1beta1/indicative': { ...STOCKS, isOption: true },
};
/** The test symbol moves this often while somebody watches. */
const TEST_TICK_MS = 1_000;

export class DataStreams implements StreamMount, SessionHost {
  readonly clock: SimClock;
  readonly #parts: DataStreamParts;
  readonly #server: WebSocketServer;
  readonly #codecs = createCodecs();
  readonly #sessions = new Set<DataSession>();
  readonly #stopListening: () => void;
  #cancelTest: (() => void) | undefined;
  #testTicks = 0;

  constructor(parts: DataStreamParts) {
    this.#parts = parts;
    this.clock = parts.clock;
    const perMessageDeflate = parts.compress ?? false;
    this.#server = new WebSocketServer({ noServer: true, autoPong: false, perMessageDeflate });
    parts.faults.refusedKeys.onRefuse((key) => this.#throwOut(key));
    this.#stopListening = parts.market.onUpdates((updates) => this.#publish(updates));
  }

  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): boolean {
    const feed = new URL(req.url ?? '/', 'http://venue').pathname.slice(1);
    if (!Object.hasOwn(FEEDS, feed)) return false;
    const status = this.#parts.streamFaults?.onUpgrade(feed);
    if (status !== undefined) {
      socket.end(`HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return true;
    }
    this.#server.handleUpgrade(req, socket, head, (opened) => this.#open(opened, feed, req));
    return true;
  }

  drop(accounts: readonly string[] | undefined, abrupt: boolean): number {
    return this.#dropWhere((session) => accounts?.includes(session.accountId ?? '') ?? true, abrupt);
  }

  /** Cuts every connection of one feed, e.g. `v2/iex`. */
  dropFeed(feed: string, abrupt: boolean): number {
    return this.#dropWhere((session) => session.feed === feed, abrupt);
  }

  /** Open and authenticated sessions of a feed, or of all. */
  openSessions(feed?: string): number {
    let open = 0;
    for (const session of this.#sessions) {
      if (session.isAuthenticated && (feed === undefined || session.feed === feed)) open += 1;
    }
    return open;
  }

  async close(): Promise<void> {
    this.#stopListening();
    this.#cancelTest?.();
    for (const session of this.#sessions) session.close(true);
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  rules(feed: string): FeedRules {
    const { plan, stockSymbolsMax, optionQuotesMax } = this.#parts.faults;
    const { isOption, isTest } = feedOf(feed);
    if (isOption) return { isOption, symbolsMax: optionQuotesMax[plan] };
    return { isOption, symbolsMax: plan === 'plus' || isTest ? undefined : stockSymbolsMax };
  }

  admit(session: DataSession, key: string | undefined, secret: string | undefined): 'welcome' | ErrorCode | undefined {
    const { keys, faults, streamFaults, meter } = this.#parts;
    const owner = keys.ownerOf(key, secret);
    const verdict = streamFaults?.onAuthenticate(session.feed, owner?.accountId) ?? 'normal';
    if (verdict === 'never') return undefined;
    if (verdict === 'close') {
      session.close(true);
      return undefined;
    }
    if (owner === undefined || key === undefined || faults.refusedKeys.has(key) || verdict === 'unauthorized')
      return 402;
    if (feedOf(session.feed).needsPlus && faults.plan === 'basic') return 409;
    if (this.clock.now() < faults.connectionLimitUntil) return 406;
    let held = 0;
    for (const other of this.#sessions) if (other.feed === session.feed && other.key === key) held += 1;
    if (held >= faults.connectionsPerFeed) return 406;
    session.key = key;
    session.accountId = owner.accountId;
    meter?.opened(session.feed, owner.accountId);
    if (feedOf(session.feed).isTest) this.#cancelTest ??= this.clock.after(TEST_TICK_MS, () => this.#testTick());
    return 'welcome';
  }

  isMuted(session: DataSession): boolean {
    const { faults, streamFaults } = this.#parts;
    return faults.mutedFeeds.has(session.feed) || (streamFaults?.isMuted(session.feed, session.accountId) ?? false);
  }

  slowClientBytes(): number {
    return this.#parts.faults.slowClientBytes;
  }

  authTimeoutMs(): number {
    return this.#parts.faults.authTimeoutMs;
  }

  left(session: DataSession): void {
    this.#sessions.delete(session);
    if (session.key !== undefined) this.#parts.meter?.closed(session.feed, session.accountId);
  }

  #open(socket: WebSocket, feed: string, req: IncomingMessage): void {
    const wantsMsgpack = req.headers['content-type'] === 'application/msgpack';
    const session = new DataSession(feed, this.#codecs[wantsMsgpack ? 'msgpack' : 'json'], socket, this);
    this.#sessions.add(session);
    if (feedOf(feed).isOption && !wantsMsgpack) {
      session.refuse(412);
      return;
    }
    const key = req.headers['apca-api-key-id'];
    const secret = req.headers['apca-api-secret-key'];
    if (typeof key === 'string' && typeof secret === 'string') session.authenticate(key, secret);
  }

  #throwOut(key: string): void {
    for (const session of [...this.#sessions]) if (session.key === key) session.refuse(402);
  }

  #dropWhere(isMeant: (session: DataSession) => boolean, abrupt: boolean): number {
    const meant = [...this.#sessions].filter(isMeant);
    for (const session of meant) session.close(abrupt);
    return meant.length;
  }

  /** Every record is encoded at most once per codec, and only when somebody wants it. */
  #publish(updates: readonly Update[]): void {
    const encoded: Record<CodecName, (Buffer | undefined)[]> = { json: [], msgpack: [] };
    for (const session of this.#sessions) {
      if (!session.isAuthenticated || session.subscriptions.isEmpty) continue;
      const feed = feedOf(session.feed);
      const cache = encoded[session.codec.name];
      const parts: Buffer[] = [];
      for (const [at, update] of updates.entries()) {
        if (!isOnFeed(update, feed) || !session.subscriptions.wants(update)) continue;
        parts.push((cache[at] ??= session.codec.encode(recordOf(update))));
      }
      if (parts.length > 0) session.deliver(parts, feed.delayMs + this.#parts.faults.tickDelayMs);
    }
  }

  #testTick(): void {
    this.#cancelTest = undefined;
    const { market } = this.#parts;
    if (this.openSessions('v2/test') === 0) return;
    this.#cancelTest = this.clock.after(TEST_TICK_MS, () => this.#testTick());
    const book = market.stock(TEST_SYMBOL);
    if (book === undefined) return;
    this.#testTicks += 1;
    const chance = ((this.#testTicks * 37) % 100) / 100;
    const quote = book.tickQuote(market.instant(), chance);
    const trade = book.tickTrade(market.instant(), chance);
    market.publish([
      { kind: 'quote', isOption: false, symbol: TEST_SYMBOL, quote },
      { kind: 'trade', isOption: false, symbol: TEST_SYMBOL, trade },
    ]);
  }
}

function feedOf(name: string): Feed {
  return FEEDS[name] ?? STOCKS;
}

function isOnFeed(update: Update, feed: Feed): boolean {
  if (feed.isTest !== (update.symbol === TEST_SYMBOL)) return false;
  const isOption = (update.kind === 'quote' || update.kind === 'trade') && update.isOption;
  return isOption === feed.isOption;
}
