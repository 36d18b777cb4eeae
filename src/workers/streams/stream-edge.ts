/**
 * The WebSocket edge of a worker: takes the upgrades of `/api/v1/stream`, refuses what may not come in (in HTTP, before
 * a socket exists), and looks after each socket once a second.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer, type WebSocket } from 'ws';
import type { StreamsConfig } from '../../kernel/config/gateway-config.js';
import type { TokenVerifier } from '../../kernel/auth/token-verifier.js';
import type { Principal } from '../../kernel/domain/permissions.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { MarketDataFeed } from '../market-data/market-data-feed.js';
import type { AccountRouter } from '../routing/account-router.js';
import type { OrderEventsDoor } from '../routing/order-events-door.js';
import { MarketFanOut } from './market-fan-out.js';
import { MarketSubscriptions } from './market-subscriptions.js';
import { OrderFanOut } from './order-fan-out.js';
import { Seats } from './seats.js';
import { CLOSE_CODES } from './stream-codes.js';
import { StreamConnection, type ConnectionDeps } from './stream-connection.js';
import { Turns } from './turns.js';
import { BEARER_PROTOCOL, refusalText, tokenOf, upgradeRefusal, type UpgradeRefusal } from './upgrade.js';

export interface StreamEdgeDeps {
  readonly verifier: TokenVerifier;
  readonly router: AccountRouter;
  readonly feed: MarketDataFeed;
  readonly events: OrderEventsDoor;
  readonly config: StreamsConfig;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
}

/** What the HTTP edge knows of the caller. */
export interface UpgradeCaller {
  readonly address: string;
}

const CHECK_INTERVAL_MS = 1_000;
const TAIL_CHECK_INTERVAL_MS = 5_000;

export class StreamEdge {
  readonly #connections = new Turns<StreamConnection>();
  readonly #server: WebSocketServer;
  readonly #marketFanOut: MarketFanOut;
  readonly #orders: OrderFanOut;
  readonly #connectionDeps: Omit<ConnectionDeps, 'admit'>;
  readonly #seats: Seats;
  readonly #stop = new AbortController();
  readonly #looking: Promise<unknown>;
  /** What to do when a handshake turns out not to be one (RFC 6455 4.2.1). */
  readonly #shaking = new WeakMap<Duplex, () => void>();
  #draining = false;

  constructor(private readonly deps: StreamEdgeDeps) {
    const { config, clock, meter, feed, events, verifier, router, log } = deps;
    this.#server = new WebSocketServer({
      noServer: true,
      maxPayload: config.messageBytesMax,
      perMessageDeflate: false,
      clientTracking: false,
      handleProtocols: (offered) => [...offered].find((name) => name.startsWith(BEARER_PROTOCOL)) ?? false,
    });
    this.#server.on('wsClientError', (_cause, socket) => this.#shaking.get(socket)?.());
    this.#seats = new Seats(config);
    this.#marketFanOut = new MarketFanOut(feed, clock, {
      flushIntervalMs: config.flushIntervalMs,
      onConflated: (records) => meter.count('opitios_stream_conflated_records_total', {}, records),
    });
    this.#orders = new OrderFanOut(events, clock);
    this.#connectionDeps = {
      ...{ verifier, router, clock, log, meter },
      market: new MarketSubscriptions(feed, this.#marketFanOut),
      orders: this.#orders,
      onClosed: (connection) => this.#connections.delete(connection),
    };
    // One look more than the interval has: the answer may wait unread while we are late ourselves.
    const checksMax = Math.ceil(config.pingIntervalMs / CHECK_INTERVAL_MS) + 1;
    const check = (one: StreamConnection): void => {
      one.checkToken();
      one.checkReader(checksMax);
    };
    const { signal } = this.#stop;
    this.#looking = Promise.all([
      this.#connections.each(CHECK_INTERVAL_MS, check, clock, signal),
      this.#connections.each(config.pingIntervalMs, (one) => one.ping(), clock, signal),
      this.#every(CHECK_INTERVAL_MS, () => meter.gauge('opitios_stream_sockets', this.#connections.size)),
      this.#every(TAIL_CHECK_INTERVAL_MS, () => this.#orders.checkAll()),
    ]);
  }

  /** The HTTP server's `upgrade` event. Returns the status answered, 101 when it became a socket. */
  async handleUpgrade(req: IncomingMessage, socket: Duplex, head: Buffer, caller: UpgradeCaller): Promise<number> {
    // While the token is verified nobody else listens: an unheard error would end the process.
    socket.on('error', (cause) => this.deps.log.debug({ cause: cause.message }, 'upgrade socket error'));
    const refusal = this.#draining ? 'draining' : upgradeRefusal(req, this.deps.config.allowedOrigins);
    if (refusal !== undefined) return this.#refuse(socket, refusal);
    const token = tokenOf(req);
    let principal: Principal | undefined;
    try {
      if (token !== undefined) principal = this.deps.verifier.known(token) ?? (await this.deps.verifier.verify(token));
    } catch {
      return this.#refuse(socket, 'unauthenticated');
    }
    const seat = this.#seats.take(caller.address, principal?.subject);
    if (seat === undefined) return this.#refuse(socket, 'rate-limited');
    socket.once('close', seat.leave);
    if (socket.destroyed) {
      seat.leave();
      return 400;
    }
    return new Promise((resolve) => {
      this.#shaking.set(socket, () => resolve(this.#refuse(socket, 'request-malformed')));
      this.#server.handleUpgrade(req, socket, head, (webSocket) => {
        this.#accept(webSocket, principal, seat.nameSubject);
        resolve(101);
      });
    });
  }

  /** Tells every client to come back elsewhere and resume; takes no new ones. */
  drain(): void {
    this.#draining = true;
    for (const connection of this.#connections.all()) connection.close(CLOSE_CODES.restarting, 'restarting: resume');
  }

  async close(): Promise<void> {
    this.drain();
    this.#stop.abort();
    await this.#looking;
    this.#marketFanOut.close();
    this.#orders.close();
    this.#server.close();
  }

  #accept(webSocket: WebSocket, principal: Principal | undefined, nameSubject: (subject: string) => boolean): void {
    const deps = { ...this.#connectionDeps, admit: nameSubject };
    this.#connections.add(new StreamConnection(webSocket, principal, this.deps.config, deps));
  }

  #refuse(socket: Duplex, refusal: UpgradeRefusal): number {
    const { status, text } = refusalText(refusal);
    socket.end(text);
    return status;
  }

  async #every(intervalMs: number, act: () => void | Promise<void>): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.deps.clock.sleep(intervalMs, this.#stop.signal);
      await act();
    }
  }
}
