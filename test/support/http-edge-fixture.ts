/** An HTTP edge on a real listener with fake doors behind it. The doors record what was passed on. */
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { GatewayError } from '../../src/kernel/domain/errors.js';
import type { AccountRequest, CallContext } from '../../src/kernel/domain/account-request.js';
import type { AccountId } from '../../src/kernel/domain/identifiers.js';
import type { Permission, Principal } from '../../src/kernel/domain/permissions.js';
import type { AdminRequest } from '../../src/kernel/ipc/control.js';
import { silentLog, type Log, type LogFields } from '../../src/kernel/runtime/log.js';
import type { Labels } from '../../src/kernel/runtime/meter.js';
import { SystemClock } from '../../src/kernel/runtime/system-clock.js';
import { createHttpEdge, type HttpEdge, type HttpEdgeDeps } from '../../src/workers/http/http-edge.js';
import type { EdgeConfig } from '../../src/workers/http/gate.js';
import type { MarketDataAnswer, MarketDataRequest } from '../../src/workers/market-data/market-data-door.js';
import type { RoutedAnswer } from '../../src/workers/routing/account-router.js';

export const OWN = 'account_001' as AccountId;
export const OTHER = 'account_002' as AccountId;
export const BROKER_ORDER =
  '{"id":"7b08df51-c1ac-453c-99f9-323a5f075f0d","client_order_id":"c1","symbol":"AAPL","status":"accepted"}';
export const QUOTE =
  '{"type":"quote","symbol":"AAPL","bid_price":1.1,"ask_price":1.2,"timestamp":"2026-01-05T15:00:00Z","source":"table","age_ms":3}';

export function edgeConfig(overrides: { limits?: object; server?: object; orders?: object } = {}): EdgeConfig {
  return {
    server: {
      host: '127.0.0.1',
      port: 0,
      trustProxy: false,
      requireHttps: false,
      exposeMetrics: true,
      ...overrides.server,
    },
    limits: {
      bodyBytesMax: 64 * 1024,
      headersTimeoutMs: 5_000,
      requestTimeoutMs: 15_000,
      keepAliveTimeoutMs: 5_000,
      connectionsMax: 1_000,
      inFlightMax: 100,
      ...overrides.limits,
    },
    orders: {
      requireIdempotencyKey: false,
      ambiguous: 'reconcile_only',
      answerDeadlineMs: 5_000,
      quarantineAfterMs: 900_000,
      onLate: 'keep',
      keepKeysDays: 7,
      ...overrides.orders,
    },
    cluster: { workers: 1, threads: 1, warmSpare: false, instanceId: 'test', routing: 'forward' },
  };
}

function answered(
  body: string,
  status = 200,
): { kind: 'answer'; status: number; headers: Record<string, string>; body: Uint8Array } {
  return { kind: 'answer', status, headers: { 'content-type': 'application/json' }, body: Buffer.from(body) };
}

function brokerAnswer(request: AccountRequest): RoutedAnswer['answer'] {
  if (request.kind === 'submit-order' || request.kind === 'close-position') {
    return request.dryRun ? answered('{"dry_run":true}') : answered(BROKER_ORDER, 201);
  }
  if (request.kind === 'replace-order') return answered(BROKER_ORDER);
  if (request.kind === 'cancel-order') return answered('', request.dryRun ? 200 : 204);
  if (request.kind === 'cancel-all-orders') return answered('[]', 207);
  return answered('{}');
}

/** Makes a token of these claims: the fake verifier reads it back. */
export function tokenFor(permissions: readonly Permission[], accounts: '*' | readonly string[] = [OWN]): string {
  const claims = Buffer.from(JSON.stringify({ permissions, accounts })).toString('base64url');
  return `h0.${claims}.s0`;
}

function principalOf(token: string): Principal {
  try {
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString('utf8')) as {
      permissions: Permission[];
      accounts: '*' | AccountId[];
    };
    const accounts = claims.accounts === '*' ? '*' : new Set(claims.accounts);
    return {
      subject: 'tester',
      tokenId: undefined,
      permissions: new Set(claims.permissions),
      accounts,
      expiresAt: 2e9,
    };
  } catch (cause) {
    throw new GatewayError('TOKEN_INVALID', { reason: 'shape' }, { cause });
  }
}

export class EdgeFixture {
  readonly accountRequests: AccountRequest[] = [];
  readonly contexts: CallContext[] = [];
  readonly marketRequests: MarketDataRequest[] = [];
  readonly adminRequests: AdminRequest[] = [];
  readonly counts: { name: string; labels: Labels }[] = [];
  readonly logLines: LogFields[] = [];
  ready = true;
  /** Holds every account answer until resolved. */
  hold: Promise<void> | undefined = undefined;
  marketAnswer: MarketDataAnswer = answered(QUOTE);
  accountAnswer: ((request: AccountRequest) => RoutedAnswer['answer']) | undefined = undefined;
  quoteNowAnswer: MarketDataAnswer | undefined = undefined;
  readonly edge: HttpEdge;
  port = 0;
  #keys = 0;

  constructor(options: Parameters<typeof edgeConfig>[0] & { readonly more?: Partial<HttpEdgeDeps> } = {}) {
    const log: Log = {
      ...silentLog,
      info: (fields) => this.logLines.push(fields),
      error: (fields) => this.logLines.push(fields),
    };
    this.edge = createHttpEdge({
      router: {
        accountIds: () => [OWN, OTHER],
        exists: (id) => id === OWN || id === OTHER,
        report: () => undefined,
        orderIdOf: () => undefined,
        execute: async (request, context) => {
          this.accountRequests.push(request);
          this.contexts.push(context);
          await this.hold;
          return { answer: (this.accountAnswer ?? brokerAnswer)(request), meshMs: 0, queueMs: 0 };
        },
      },
      marketData: {
        quoteNow: () => this.quoteNowAnswer,
        execute: async (request) => {
          this.marketRequests.push(request);
          await this.hold;
          return this.marketAnswer;
        },
      },
      admin: {
        readiness: () => ({ ready: this.ready, reasons: [] }),
        execute: (request) => {
          this.adminRequests.push(request);
          return Promise.resolve(answered('{}'));
        },
      },
      verifier: {
        known: () => undefined,
        verify: (token) => Promise.resolve().then(() => principalOf(token)),
        stillKnown: () => false,
        stillValid: () => true,
      },
      config: edgeConfig(options),
      newKey: () => `key-${(this.#keys += 1)}`,
      clock: new SystemClock(),
      log,
      meter: {
        count: (name, labels = {}) => this.counts.push({ name, labels }),
        gauge: () => undefined,
        observe: () => undefined,
      },
      metrics: () => Promise.resolve({ contentType: 'text/plain', body: '# none\n' }),
      ...options.more,
    });
  }

  async start(): Promise<this> {
    this.edge.server.listen(0, '127.0.0.1');
    await once(this.edge.server, 'listening');
    this.port = (this.edge.server.address() as AddressInfo).port;
    return this;
  }

  stop(): Promise<void> {
    return this.edge.close({ deadlineMs: 20 });
  }

  get passedOn(): number {
    return this.accountRequests.length + this.marketRequests.length + this.adminRequests.length;
  }

  fetch(path: string, init: RequestInit & { readonly token?: string } = {}): Promise<Response> {
    const { token, ...rest } = init;
    const headers = new Headers(rest.headers);
    if (token !== undefined) headers.set('authorization', `Bearer ${token}`);
    if (rest.body !== undefined && !headers.has('content-type')) headers.set('content-type', 'application/json');
    return fetch(`http://127.0.0.1:${this.port}${path}`, { ...rest, headers });
  }

  /** Requests counted so far, as `METHOD route status`. */
  requests(): string[] {
    return this.counts
      .filter(({ name }) => name === 'opitios_http_requests_total')
      .map(({ labels }) => `${labels['method']} ${labels['route']} ${labels['status']}`);
  }
}
