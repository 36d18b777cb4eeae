/** The worker's two edges, HTTP and client streams, on one listening socket that all workers share. */
import type { AddressInfo } from 'node:net';
import type { TokenVerifier } from '../../kernel/auth/token-verifier.js';
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { createHttpEdge, type HttpEdge } from '../http/http-edge.js';
import type { MarketData } from '../market-data/market-data.js';
import type { AccountRouter } from '../routing/account-router.js';
import type { AdminDoor } from '../routing/admin-door.js';
import type { OrderEventsDoor } from '../routing/order-events-door.js';
import { StreamEdge } from '../streams/stream-edge.js';

export interface EdgesParts {
  readonly config: GatewayConfig;
  readonly router: AccountRouter;
  readonly events: OrderEventsDoor;
  readonly admin: AdminDoor;
  readonly marketData: MarketData;
  readonly verifier: TokenVerifier;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
}

export class Edges {
  readonly #http: HttpEdge;
  readonly #streams: StreamEdge;

  constructor(private readonly parts: EdgesParts) {
    const { config, router, events, admin, marketData, verifier, clock, log, meter } = parts;
    this.#streams = new StreamEdge({
      ...{ verifier, router, events, clock, log, meter },
      feed: marketData.feed,
      config: config.streams,
    });
    this.#http = createHttpEdge({
      ...{ config, router, admin, verifier, clock, log, meter },
      marketData: marketData.door,
      onUpgrade: (req, socket, head) => {
        const address = req.socket.remoteAddress ?? '';
        void this.#streams.handleUpgrade(req, socket, head, { address });
      },
    });
  }

  /** Resolves with the port. @throws the listening error: `EADDRINUSE` and its kin. */
  listen(): Promise<number> {
    const { host, port } = this.parts.config.server;
    const { server } = this.#http;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port }, () => {
        server.off('error', reject);
        resolve((server.address() as AddressInfo).port);
      });
    });
  }

  reloadTls(): void {
    if (this.parts.config.server.tls !== undefined) this.#http.reloadTls();
  }

  /** Stream clients are told to come back elsewhere; requests in flight are finished. */
  async close(deadlineMs: number): Promise<void> {
    this.#streams.drain();
    await this.#http.close({ deadlineMs });
    await this.#streams.close();
  }
}
