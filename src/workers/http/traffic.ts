/** Counts and logs every request exactly once, whatever became of it. */
import type { Log } from '../../kernel/runtime/log.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Labels, Meter } from '../../kernel/runtime/meter.js';
import type { Span } from '../../kernel/runtime/tracer.js';
import { ConnectionPlaces } from './connection-places.js';
import type { Exchange } from './exchange.js';
import type { ProxyTrust } from './proxy-trust.js';
import { RequestPlaces } from './request-places.js';
import { UnreadAnswers } from './unread-answers.js';

export const REQUESTS_TOTAL = 'opitios_http_requests_total';
export const REQUEST_SECONDS = 'opitios_http_request_seconds';
export const SHED_TOTAL = 'opitios_http_shed_total';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PATCH', 'DELETE', 'PUT', 'OPTIONS']);
/** The client left before there was an answer. */
const CLIENT_CLOSED = 499;

/** Named by its route, which is not known when it begins. */
function endSpan(span: Span, route: string, exchange: Exchange, status: number): void {
  span.set({
    'http.request.method': exchange.req.method,
    'http.route': route,
    'http.response.status_code': status,
    'opitios.request_id': exchange.ids.requestId,
    'opitios.account': exchange.accountId,
    'opitios.problem': exchange.problemCode,
  });
  span.end(status >= 500 ? (exchange.problemCode ?? String(status)) : undefined);
}

export class Traffic {
  readonly #labels = new Map<string, Labels>();
  readonly places: RequestPlaces;
  readonly connections: ConnectionPlaces;
  readonly #unread: UnreadAnswers;

  constructor(
    private readonly deps: {
      readonly clock: Clock;
      readonly log: Log;
      readonly meter: Meter;
      readonly proxies: ProxyTrust;
      readonly limits: { readonly inFlightMax: number; readonly connectionsMax: number };
    },
  ) {
    const { limits, meter, proxies } = deps;
    this.#unread = new UnreadAnswers(deps.clock);
    this.places = new RequestPlaces(limits.inFlightMax, (exchange) => this.#settle(exchange));
    this.connections = new ConnectionPlaces(
      limits.connectionsMax,
      (address) => proxies.isProxy(address),
      () => meter.count(SHED_TOTAL, { work: 'connection' }),
    );
  }

  /** @param before the request before it on the same connection. */
  begin(exchange: Exchange, before: Exchange | undefined): void {
    exchange.res.on('close', () => this.#settle(exchange));
    if (before !== undefined && !before.settled) this.places.waitBehind(exchange);
  }

  /** Before the token is verified, or for a route that asks for none. */
  isAnonymous(exchange: Exchange): void {
    this.places.takeAnonymous(exchange, this.deps.proxies.clientAddress(exchange.req));
  }

  answered(exchange: Exchange): void {
    if (!exchange.settled) this.#unread.answered(exchange);
  }

  isVerified(exchange: Exchange, subject: string): void {
    this.places.takeVerified(exchange);
    if (!exchange.settled) exchange.leaveConnection ??= this.connections.verified(exchange.req.socket, subject);
  }

  /** A request that never became an exchange: a broken head, an upgrade. */
  countBare(method: string | undefined, route: string, status: number): void {
    this.deps.meter.count(REQUESTS_TOTAL, this.#requestLabels(method, route, status));
  }

  shed(work: string): void {
    this.deps.meter.count(SHED_TOTAL, { work });
  }

  #settle(exchange: Exchange): void {
    if (exchange.settled) return;
    exchange.settled = true;
    this.places.settled(exchange);
    this.#unread.settled(exchange);
    exchange.leaveConnection?.();
    const totalMs = this.deps.clock.monotonicMs() - exchange.startedMs;
    const route = exchange.route?.template ?? 'unmatched';
    const status = exchange.status === 0 ? CLIENT_CLOSED : exchange.status;
    this.deps.meter.count(REQUESTS_TOTAL, this.#requestLabels(exchange.req.method, route, status));
    this.#observe(route, exchange, totalMs);
    this.#log(route, exchange, status, totalMs);
    if (exchange.span !== undefined) endSpan(exchange.span, route, exchange, status);
  }

  #observe(route: string, exchange: Exchange, totalMs: number): void {
    const { queueMs, meshMs, upstreamMs } = exchange;
    this.#part(route, 'total', totalMs);
    if (queueMs > 0) this.#part(route, 'queue', queueMs);
    if (meshMs > 0) this.#part(route, 'mesh', meshMs);
    if (upstreamMs > 0) this.#part(route, 'upstream', upstreamMs);
    this.#part(route, 'gateway', Math.max(0, totalMs - queueMs - meshMs - upstreamMs));
  }

  #part(route: string, part: string, ms: number): void {
    const key = `${route} ${part}`;
    let labels = this.#labels.get(key);
    if (labels === undefined) this.#labels.set(key, (labels = { route, part }));
    this.deps.meter.observe(REQUEST_SECONDS, ms / 1_000, labels);
  }

  /** Bounded by routes, methods and statuses, which are all closed sets. */
  #requestLabels(method: string | undefined, route: string, status: number): Labels {
    const known = method !== undefined && METHODS.has(method) ? method : 'OTHER';
    const key = `${known} ${route} ${status}`;
    let labels = this.#labels.get(key);
    if (labels === undefined) this.#labels.set(key, (labels = { method: known, route, status: String(status) }));
    return labels;
  }

  #log(route: string, exchange: Exchange, status: number, totalMs: number): void {
    const { queueMs, meshMs, upstreamMs, principal, accountId, problemCode } = exchange;
    this.deps.log.info(
      {
        requestId: exchange.ids.requestId,
        traceId: exchange.ids.traceId,
        method: exchange.req.method,
        route,
        status,
        subject: principal?.subject,
        accountId,
        problem: problemCode,
        client: this.deps.proxies.clientAddress(exchange.req),
        totalMs: Math.round(totalMs * 1_000) / 1_000,
        queueMs,
        meshMs,
        upstreamMs,
      },
      'request',
    );
  }
}
