/**
 * The HTTP door of a worker: an Express application on a server that does not listen yet. It refuses what is malformed,
 * foreign or too much, and hands everything else to the doors below. It never decides about orders.
 */
import http from 'node:http';
import type https from 'node:https';
import { Server as NetServer, type Socket } from 'node:net';
import { setImmediate as polled } from 'node:timers/promises';
import type { IncomingMessage } from 'node:http';
import express from 'express';
import type { TokenVerifier } from '../../kernel/auth/token-verifier.js';
import type { TlsConfig } from '../../kernel/config/gateway-config.js';
import { tlsOptions } from '../../kernel/config/tls-files.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { silentTracer, type Tracer } from '../../kernel/runtime/tracer.js';
import type { MarketDataDoor } from '../market-data/market-data-door.js';
import type { AccountRouter } from '../routing/account-router.js';
import type { AdminDoor } from '../routing/admin-door.js';
import type { Elsewhere } from '../routing/elsewhere.js';
import { DirectRoutes } from './direct-routes.js';
import { EdgeService } from './edge-service.js';
import { Exchange, carriedBy, carry } from './exchange.js';
import { Forwarding } from './forwarding.js';
import { framingProblem } from './framing.js';
import { Gate, type EdgeConfig, type LimiterSource } from './gate.js';
import { asksForWebSocket, ignoreUpgrade } from './ignored-upgrade.js';
import { createServer } from './listener.js';
import { ProxyTrust } from './proxy-trust.js';
import { RequestIdSource } from './request-ids.js';
import type { Route } from './routes/route.js';
import { routeTable } from './routes/table.js';
import { securityHeaders } from './security-headers.js';
import { AnswerSender } from './sending.js';
import { serveRoute } from './serve.js';
import { SocketRefusals, type UpgradeHandler } from './socket-refusals.js';
import { Traffic } from './traffic.js';
import { Unmatched } from './unmatched.js';

export interface HttpEdgeDeps {
  readonly router: AccountRouter;
  readonly marketData: MarketDataDoor;
  readonly admin: AdminDoor;
  readonly verifier: TokenVerifier;
  readonly config: EdgeConfig;
  /** Only where several instances share the accounts. */
  readonly elsewhere?: Elsewhere;
  readonly sharedLimiter?: LimiterSource;
  /** For an order whose caller named neither key nor id: nobody else has it. */
  readonly newKey: () => string;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly tracer?: Tracer;
  /** For `/metrics` when `server.exposeMetrics`: the text of the whole instance. */
  readonly metrics?: () => Promise<{ readonly contentType: string; readonly body: string }>;
  /** WebSocket upgrades of `/api/v1/stream`, already checked for framing, HTTPS and drain. */
  readonly onUpgrade?: UpgradeHandler;
  /** The AsyncAPI document of the streams, served at `/api/v1/asyncapi.json`. */
  readonly asyncApi?: object;
}

export interface HttpEdge {
  readonly server: http.Server | https.Server;
  /** From now on every answer ends its connection; `close` calls it. */
  drain(): void;
  /** Stops accepting, finishes what is in flight, then cuts what is left at the deadline. Twice is harmless. */
  close(options: { readonly deadlineMs: number }): Promise<void>;
  /** For connections from now on; those already open keep theirs. @throws GatewayError CONFIG_INVALID */
  reloadTls(tls: TlsConfig | undefined): void;
}

/** @throws GatewayError CONFIG_INVALID */
export function createHttpEdge(deps: HttpEdgeDeps): HttpEdge {
  return new Edge(deps);
}

/** Idle connections live this share of the deadline longer, so that a request already on its way is still answered. */
const LINGER_SHARE = 0.5;
const LINGER_MS_MAX = 2_000;

class Edge implements HttpEdge {
  readonly server: http.Server | https.Server;
  readonly #ids = new RequestIdSource();
  readonly #traffic: Traffic;
  readonly #sender: AnswerSender;
  readonly #unmatched: Unmatched;
  readonly #app = express();
  readonly #tracer: Tracer;
  readonly #direct = new DirectRoutes();
  #draining = false;
  #refusing = false;
  #closing: Promise<void> | undefined;

  constructor(private readonly deps: HttpEdgeDeps) {
    const { config, clock, log, meter } = deps;
    this.#tracer = deps.tracer ?? silentTracer;
    const proxies = new ProxyTrust(config.server.trustProxy);
    const overTls = config.server.tls !== undefined || config.server.requireHttps;
    this.#traffic = new Traffic({ clock, log, meter, proxies, limits: config.limits });
    this.#sender = new AnswerSender(securityHeaders(overTls), {
      monotonicMs: () => clock.monotonicMs(),
      draining: () => this.#draining,
      answered: (exchange) => this.#traffic.answered(exchange),
    });
    const routes = routeTable({
      exposeMetrics: config.server.exposeMetrics && deps.metrics !== undefined,
      asyncApi: deps.asyncApi !== undefined,
    });
    this.#unmatched = new Unmatched(routes, this.#sender, log);
    const gate = new Gate({ ...deps, traffic: this.#traffic, proxies, refusesNewWork: () => this.#refusing });
    this.#mount(routes, gate);
    const { tls } = config.server;
    this.server = createServer(config, tls === undefined ? undefined : tlsOptions(tls));
    this.#attach(proxies);
  }

  drain(): void {
    this.#draining = true;
  }

  close(options: { readonly deadlineMs: number }): Promise<void> {
    this.#closing ??= this.#close(options.deadlineMs);
    return this.#closing;
  }

  reloadTls(tls: TlsConfig | undefined): void {
    if (tls !== undefined && 'setSecureContext' in this.server) this.server.setSecureContext(tlsOptions(tls));
  }

  #mount(routes: readonly Route[], gate: Gate): void {
    const app = this.#app;
    app.disable('x-powered-by');
    app.disable('etag');
    app.set('query parser', false);
    app.enable('strict routing');
    app.enable('case sensitive routing');
    // Express gives every request and response prototypes of its own, which costs more than all it does here
    // (docs/decisions/0023). With Node's own there is nothing to change; their methods (res.json and so on) are not used.
    app.request = http.IncomingMessage.prototype as express.Request;
    app.response = http.ServerResponse.prototype as express.Response;
    const { metrics, asyncApi } = this.deps;
    const service = new EdgeService({ routes, draining: () => this.#draining, metrics, asyncApi });
    const doors = { router: this.deps.router, marketData: this.deps.marketData, admin: this.deps.admin, service };
    const { elsewhere, config, clock } = this.deps;
    const forwarding =
      elsewhere === undefined
        ? undefined
        : new Forwarding({
            elsewhere,
            mode: config.cluster.routing,
            monotonicMs: () => clock.monotonicMs(),
          });
    for (const route of routes) {
      const serve = serveRoute(route, {
        gate,
        doors,
        sender: this.#sender,
        config: this.deps.config,
        log: this.deps.log,
        forwarding,
        newKey: this.deps.newKey,
      });
      if (route.quick !== undefined) this.#direct.add(route.template, serve);
      const method = route.method.toLowerCase() as 'get' | 'post' | 'patch' | 'delete';
      for (const template of [route.template, ...(route.aliases ?? [])]) {
        app[method](template.replaceAll(/\{(\w+)\}/g, ':$1'), (req) => {
          const exchange = carriedBy(req);
          if (exchange !== undefined) serve(exchange, req.params as Readonly<Record<string, string>>);
        });
      }
    }
  }

  #attach(proxies: ProxyTrust): void {
    const { server } = this;
    // Of a TLS listener too this is the plain socket, before the handshake.
    server.on('connection', (socket: Socket) => this.#traffic.connections.opened(socket));
    server.on('request', (req, res) => this.#enter(req, res));
    // Without a listener Node answers by itself, uncounted.
    server.on('checkExpectation', (req, res) => this.#enter(req, res));
    const refusals = new SocketRefusals({
      ids: this.#ids,
      traffic: this.#traffic,
      sender: this.#sender,
      log: this.deps.log,
      proxies,
      requireHttps: this.deps.config.server.requireHttps,
      draining: () => this.#draining,
      onUpgrade: this.deps.onUpgrade,
    });
    server.on('clientError', (cause, socket) => refusals.clientError(cause, socket));
    server.on('upgrade', (req, socket, head) => {
      if (asksForWebSocket(req)) refusals.upgrade(req, socket, head);
      else ignoreUpgrade(server, req, socket, head);
    });
    server.on('connect', (req, socket) => refusals.connect(req, socket));
    server.on('dropRequest', (req: IncomingMessage) => this.#traffic.countBare(req.method, 'unmatched', 503));
  }

  #enter(req: http.IncomingMessage, res: http.ServerResponse): void {
    const span = this.#tracer.start('server', 'request', asText(req.headers['traceparent']));
    const exchange = new Exchange(
      req,
      res,
      this.deps.clock.monotonicMs(),
      this.#ids.next(req.headers, span?.traceparent),
    );
    exchange.span = span;
    this.#traffic.begin(exchange, carriedBy(req.socket));
    carry(req.socket, exchange);
    const problem = framingProblem(req) ?? expectationProblem(req);
    if (problem !== undefined) {
      exchange.mustClose = true;
      this.#sender.problem(exchange, problem);
      return;
    }
    if (!this.#unmatched.isServedMethod(req.method)) {
      this.#unmatched.answer(exchange, undefined);
      return;
    }
    if (span === undefined) this.#route(exchange);
    else this.#tracer.within(span, () => this.#route(exchange));
  }

  #route(exchange: Exchange): void {
    if (this.#servesDirectly(exchange)) return;
    const { req, res } = exchange;
    carry(req, exchange);
    this.#app(req as express.Request, res as express.Response, (cause?: unknown) =>
      this.#unmatched.answer(exchange, cause),
    );
  }

  #servesDirectly(exchange: Exchange): boolean {
    try {
      return this.#direct.serve(exchange);
    } catch (cause) {
      this.#unmatched.answer(exchange, cause);
      return true;
    }
  }

  async #close(deadlineMs: number): Promise<void> {
    this.#draining = true;
    // What has come by now is accepted first: the kernel resets what waits in the backlog of a socket that closes.
    await polled();
    const ended = new AbortController();
    const closed = new Promise<void>((resolve) => {
      // http.Server.close would cut idle connections at once, and with them a request that is already on its way.
      NetServer.prototype.close.call(this.server, () => {
        ended.abort();
        resolve();
      });
    });
    const lingerMs = Math.min(LINGER_MS_MAX, deadlineMs * LINGER_SHARE);
    await this.deps.clock.sleep(lingerMs, ended.signal);
    // And what has come on an idle connection is read, so that it is idle no more.
    await polled();
    this.#refusing = true;
    this.server.close(() => undefined);
    this.server.closeIdleConnections();
    await this.deps.clock.sleep(Math.max(0, deadlineMs - lingerMs), ended.signal);
    this.server.closeAllConnections();
    await closed;
  }
}

function asText(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : undefined;
}

function expectationProblem(
  req: http.IncomingMessage,
): { code: 'request-malformed'; detail: string; status: number } | undefined {
  const { expect } = req.headers;
  if (expect === undefined || expect.toLowerCase() === '100-continue') return undefined;
  return { code: 'request-malformed', detail: 'Only `Expect: 100-continue` is understood.', status: 417 };
}
