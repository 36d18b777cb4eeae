/**
 * The operator's door: live and ready open to whoever reaches the address, metrics too on loopback and on a Unix socket;
 * all else by a token with `admin` over every account. Off loopback it speaks HTTPS only. Serves no client.
 */
import { chmod, lstat, unlink } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import { connect } from 'node:net';
import type { TokenVerifier } from '../../kernel/auth/token-verifier.js';
import type { AdminConfig, TlsConfig } from '../../kernel/config/gateway-config.js';
import { tlsOptions } from '../../kernel/config/tls-files.js';
import type { AccountAnswer, AccountRequest, TradingState } from '../../kernel/domain/account-request.js';
import { GatewayError } from '../../kernel/domain/errors.js';
import { isAccountId } from '../../kernel/domain/identifiers.js';
import { mayAdminister, mayReach, type Principal } from '../../kernel/domain/permissions.js';
import { PROBLEMS, problemStatus, type Problem } from '../../kernel/domain/problem.js';
import type { AdminRequest, ProfileKind } from '../../kernel/ipc/control.js';
import { StatusPage } from './status-page.js';
import { EXPOSITION_TYPE } from '../../kernel/telemetry/metric-sum.js';

export interface AdminServerParts {
  readonly verifier: TokenVerifier;
  readonly readiness: () => { readonly ready: boolean; readonly reasons: readonly string[] };
  readonly metrics: () => Promise<string>;
  readonly execute: (request: AdminRequest) => Promise<AccountAnswer>;
  readonly executeAt: (request: AccountRequest, subject: string) => Promise<AccountAnswer>;
  readonly requestId: () => string;
  /** Undefined is plain HTTP. */
  readonly tls: TlsConfig | undefined;
  /** Metrics without a token. */
  readonly opensMetrics: boolean;
}

const BODY_BYTES_MAX = 16_384;
const PROFILE_SECONDS_MAX = 30;
/** Node looks for slow clients every 30 s unless told: they would live past 20 s. */
const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 15_000,
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 16_384,
} as const;

export class AdminServer {
  readonly #server: Server | TlsServer;
  readonly #page = new StatusPage();

  constructor(private readonly parts: AdminServerParts) {
    const serve = (req: IncomingMessage, res: ServerResponse): void => {
      this.#serve(req)
        .catch((cause: unknown) => (isProblem(cause) ? cause : { code: 'internal-error' as const, detail: '' }))
        .then((answer) => this.#write(res, answer))
        .catch(() => res.destroy());
    };
    const { tls } = parts;
    this.#server =
      tls === undefined ? createServer(LIMITS, serve) : createTlsServer({ ...LIMITS, ...tlsOptions(tls) }, serve);
  }

  /** For connections from now on. @throws GatewayError CONFIG_INVALID */
  reloadTls(tls: TlsConfig | undefined): void {
    if (tls !== undefined && 'setSecureContext' in this.#server) this.#server.setSecureContext(tlsOptions(tls));
  }

  /** @throws GatewayError PORT_IN_USE */
  async listen(place: AdminConfig): Promise<number> {
    if (place.socket !== undefined) await removeLeftover(place.socket);
    const port = await this.#listen(place);
    if (place.socket !== undefined) await chmod(place.socket, 0o600);
    return port;
  }

  #listen(place: AdminConfig): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', (cause: NodeJS.ErrnoException) => {
        const where = place.socket ?? `${place.host}:${place.port}`;
        const message = `the operator's door cannot listen on ${where}: ${cause.code ?? cause.message}`;
        reject(new GatewayError('PORT_IN_USE', { where }, { cause, message }));
      });
      const listening = (): void => {
        const address = this.#server.address();
        resolve(address !== null && typeof address === 'object' ? address.port : place.port);
      };
      if (place.socket === undefined) this.#server.listen(place.port, place.host, listening);
      else this.#server.listen(place.socket, listening);
    });
  }

  async close(): Promise<void> {
    this.#server.closeIdleConnections();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeAllConnections();
    await closed;
  }

  async #serve(req: IncomingMessage): Promise<Answer> {
    const path = (req.url ?? '/').split('?')[0]?.replace(/^\/api\/v1/, '') ?? '/';
    const open = req.method === 'GET' ? await this.#open(path, req) : undefined;
    if (open !== undefined) return open;
    const principal = await this.#authenticate(req);
    if (!mayAdminister(principal)) throw refusal('permission-missing', 'admin, and not of some accounts, is required');
    const body = req.method === 'POST' ? await readBody(req) : {};
    return this.#administer(`${req.method ?? ''} ${path}`, body, principal);
  }

  async #open(path: string, req: IncomingMessage): Promise<Answer | undefined> {
    if (path === '/health/live' || path === '/health') return json(200, { status: 'live' });
    if (path === '/health/ready') {
      const { ready, reasons } = this.parts.readiness();
      return json(ready ? 200 : 503, { status: ready ? 'ready' : 'not ready', reasons });
    }
    if (path !== '/metrics') return this.#page.file(path);
    if (!this.parts.opensMetrics) await this.#authenticate(req);
    return { status: 200, headers: { 'content-type': EXPOSITION_TYPE }, body: await this.parts.metrics() };
  }

  async #authenticate(req: IncomingMessage): Promise<Principal> {
    const given = req.headersDistinct['authorization'] ?? [];
    // Node keeps the first of two, a proxy may go by the last.
    if (given.length > 1) throw refusal('request-malformed', 'more than one Authorization header');
    const token = /^Bearer (\S+)$/i.exec(given[0] ?? '')?.[1];
    if (token === undefined) throw refusal('unauthenticated', 'a bearer token is required');
    const { verifier } = this.parts;
    try {
      return verifier.known(token) ?? (await verifier.verify(token));
    } catch {
      throw refusal('unauthenticated', 'the token is not valid');
    }
  }

  async #administer(what: string, body: Readonly<Record<string, unknown>>, principal: Principal): Promise<Answer> {
    const { subject } = principal;
    const { execute, executeAt } = this.parts;
    if (what === 'POST /admin/profile') return execute({ action: 'profile', ...profileOf(body), subject });
    const { reason, state: halted } = orderOf(body, what.endsWith('/halt') ? ['reason', 'state'] : ['reason']);
    const setAll = (state: TradingState): Promise<AccountAnswer> =>
      execute({ action: 'trading-state', state, reason, subject });
    switch (what) {
      case 'GET /status/data':
        return execute({ action: 'status' });
      case 'GET /pool':
        return execute({ action: 'pool' });
      case 'POST /admin/reload':
        return execute({ action: 'reload', subject });
      case 'POST /admin/restart':
        return execute({ action: 'restart', subject });
      case 'POST /admin/halt':
        return setAll(halted);
      case 'POST /admin/resume':
        return setAll('ACTIVE');
    }
    const one = /^(?:GET \/pool\/([^/]+)|POST \/admin\/accounts\/([^/]+)\/(halt|resume))$/.exec(what);
    const accountId = one?.[1] ?? one?.[2] ?? '';
    if (one === null || !isAccountId(accountId)) throw refusal('not-found', 'there is no such address');
    if (!mayReach(principal, accountId)) throw refusal('account-not-found', 'there is no such account for this token');
    if (one[1] !== undefined) return executeAt({ kind: 'describe', accountId }, subject);
    const state = one[3] === 'halt' ? halted : 'ACTIVE';
    return executeAt({ kind: 'set-trading-state', accountId, state, reason }, subject);
  }

  #write(res: ServerResponse, answer: Answer): void {
    const written = isProblem(answer) ? this.#document(answer) : toPlain(answer, (one) => this.#document(one));
    res.writeHead(written.status, { ...written.headers, 'x-content-type-options': 'nosniff' });
    res.end(written.body);
  }

  #document(problem: Problem): Plain {
    const status = problemStatus(problem);
    const { code, detail } = problem;
    const { title } = PROBLEMS[code];
    const document = { type: 'about:blank', title, status, detail, code, request_id: this.parts.requestId() };
    return { status, headers: { 'content-type': 'application/problem+json' }, body: JSON.stringify(document) };
  }
}

/** A gateway that was killed leaves its socket behind; one that runs is left alone, and the bind then fails. */
async function removeLeftover(path: string): Promise<void> {
  const isAlive = await new Promise<boolean>((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (cause: NodeJS.ErrnoException) => resolve(cause.code !== 'ECONNREFUSED'));
  });
  // A file that is no socket refuses connections too.
  if (!isAlive && (await lstat(path)).isSocket()) await unlink(path);
}

/** @throws a refusal: a field that is misspelt would halt differently from what was meant. */
function orderOf(
  body: Readonly<Record<string, unknown>>,
  known: readonly string[],
): { readonly reason: string; readonly state: 'HALTED' | 'REDUCING' } {
  refuseStrangers(body, known);
  const { reason = '', state = 'HALTED' } = body;
  if (typeof reason !== 'string' || reason.length > 200)
    throw refusal('validation-failed', 'reason must be text of at most 200 characters');
  if (state !== 'HALTED' && state !== 'REDUCING')
    throw refusal('validation-failed', 'state must be HALTED or REDUCING');
  return { reason, state };
}

interface Plain {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
}
type Answer = Plain | AccountAnswer | Problem;

function toPlain(answer: Plain | AccountAnswer, document: (problem: Problem) => Plain): Plain {
  if (!('kind' in answer)) return answer;
  return answer.kind === 'problem' ? document(answer.problem) : answer;
}

function isProblem(value: unknown): value is Problem {
  return typeof value === 'object' && value !== null && 'code' in value && 'detail' in value;
}

function json(status: number, value: unknown): Plain {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

/** Thrown and caught in this file: it never leaves it as an error. */
function refusal(code: Problem['code'], detail: string): GatewayError & Problem {
  return Object.assign(new GatewayError('REFUSED'), { code, detail });
}

function refuseStrangers(body: Readonly<Record<string, unknown>>, known: readonly string[]): void {
  const stranger = Object.keys(body).find((name) => !known.includes(name));
  if (stranger !== undefined) throw refusal('validation-failed', `${stranger.slice(0, 80)} is not a known field`);
}

/** `{"worker": 0, "kind": "cpu", "seconds": 5}`, each of them optional. */
function profileOf(body: Readonly<Record<string, unknown>>): {
  readonly worker?: number;
  readonly what: ProfileKind;
  readonly seconds: number;
} {
  refuseStrangers(body, ['worker', 'kind', 'seconds']);
  const { worker, kind = 'cpu', seconds = 5 } = body;
  if (kind !== 'cpu' && kind !== 'heap') throw refusal('validation-failed', 'kind is cpu or heap');
  const isCount = (value: unknown, max: number): value is number => Number.isInteger(value) && Number(value) <= max;
  if (!isCount(seconds, PROFILE_SECONDS_MAX) || seconds < 1)
    throw refusal('validation-failed', `seconds is a whole number from 1 to ${PROFILE_SECONDS_MAX}`);
  if (worker === undefined) return { what: kind, seconds };
  if (!isCount(worker, 1_000) || worker < 0) throw refusal('validation-failed', 'worker is the number of a slot');
  return { worker, what: kind, seconds };
}

async function readBody(req: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of req as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES_MAX) throw refusal('payload-too-large', 'the body is too large');
    chunks.push(chunk);
  }
  if (bytes === 0) return {};
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw refusal('request-malformed', 'the body must be a JSON object');
}
