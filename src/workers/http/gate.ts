/**
 * Everything that a request must pass before its route runs: load, transport, token, permission, account, limits. The
 * steps are synchronous so that a cached quote is answered without a promise; only an unknown token waits.
 */
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import type { TokenVerifier } from '../../kernel/auth/token-verifier.js';
import { GatewayError } from '../../kernel/domain/errors.js';
import { isAccountId } from '../../kernel/domain/identifiers.js';
import { mayAdminister, mayReach, NO_SUBJECT, type Principal } from '../../kernel/domain/permissions.js';
import type { Problem } from '../../kernel/domain/problem.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { AccountRouter } from '../routing/account-router.js';
import type { Exchange } from './exchange.js';
import type { ProxyTrust } from './proxy-trust.js';
import type { Route } from './routes/route.js';
import type { Traffic } from './traffic.js';
import { WindowLimiter, type Allowance, type Limiter } from './window-limiter.js';

export type EdgeConfig = Pick<GatewayConfig, 'server' | 'limits' | 'orders' | 'cluster'>;

/** Where instances share the limits. */
export type LimiterSource = (what: 'subject' | 'account', perMinute: number) => Limiter;

/** Reads are shed first: this share of the places is kept for orders. */
const ORDER_SHARE = 0.2;
/** Compact JWS (RFC 7515) within the size of docs/security.md#tokens; anything else is no token. */
const BEARER = /^Bearer ([\w-]{2,}\.[\w-]+\.[\w-]+)$/i;

export class Gate {
  readonly #subjects: Limiter | undefined;
  readonly #accounts: Limiter | undefined;
  /** A token lives here no longer than the connection, which holds its last request anyway. */
  readonly #lastKnown = new WeakMap<object, { readonly authorization: string; readonly principal: Principal }>();

  constructor(
    private readonly deps: {
      readonly config: EdgeConfig;
      readonly verifier: TokenVerifier;
      readonly router: AccountRouter;
      readonly clock: Clock;
      readonly traffic: Traffic;
      readonly proxies: ProxyTrust;
      readonly refusesNewWork: () => boolean;
      readonly sharedLimiter?: LimiterSource;
    },
  ) {
    const { perSubjectPerMinute, perAccountPerMinute } = deps.config.limits;
    const { workers } = deps.config.cluster;
    const alone: LimiterSource = (_, perMinute) => new WindowLimiter(perMinute, () => workers, deps.clock);
    const limiter = deps.sharedLimiter ?? alone;
    this.#subjects = perSubjectPerMinute === undefined ? undefined : limiter('subject', perSubjectPerMinute);
    this.#accounts = perAccountPerMinute === undefined ? undefined : limiter('account', perAccountPerMinute);
  }

  /** Load and transport: before anything is spent on the request. */
  admit(route: Route, exchange: Exchange): Problem | undefined {
    if (route.work === 'exempt' && route.permission === 'none') return undefined;
    if (this.deps.refusesNewWork()) {
      exchange.mustClose = true;
      return { code: 'draining', detail: 'This worker takes no new work; connect again.', retryAfterS: 1 };
    }
    if (this.deps.config.server.requireHttps && !this.deps.proxies.isSecure(exchange.req)) {
      return { code: 'https-required', detail: 'This gateway is configured to serve HTTPS only.' };
    }
    return undefined;
  }

  /** For a route that asks for no token. */
  isAnonymous(exchange: Exchange): void {
    this.deps.traffic.isAnonymous(exchange);
  }

  /** A place among the verified requests. Cancels and what must always be answered are never refused one. */
  takePlace(route: Route, exchange: Exchange, principal: Principal): Problem | undefined {
    const { traffic, config } = this.deps;
    traffic.isVerified(exchange, principal.subject);
    const { inFlightMax } = config.limits;
    const places = route.work === 'read' ? Math.max(1, Math.floor(inFlightMax * (1 - ORDER_SHARE))) : inFlightMax;
    if ((route.work !== 'read' && route.work !== 'order') || traffic.places.inFlight <= places) return undefined;
    traffic.shed(route.work);
    const members = route.work === 'order' ? { retryable: true } : {};
    return { code: 'overloaded', detail: 'Too many requests are in flight.', retryAfterS: 1, members };
  }

  /** The bearer token as text; undefined when the header is missing or is not one. */
  tokenOf(exchange: Exchange): string | undefined {
    return BEARER.exec(exchange.req.headers.authorization ?? '')?.[1];
  }

  /**
   * Without a promise: the principal of a token verified before. A connection that sends the same header again is
   * compared with what it sent last, which costs a fiftieth of the token's hash.
   */
  known(exchange: Exchange): Principal | undefined {
    const { socket, headers } = exchange.req;
    const { authorization } = headers;
    if (authorization === undefined) return undefined;
    const { verifier } = this.deps;
    const last = this.#lastKnown.get(socket);
    if (last?.authorization === authorization && verifier.stillKnown(last.principal)) return last.principal;
    const token = this.tokenOf(exchange);
    const principal = token === undefined ? undefined : verifier.known(token);
    if (principal !== undefined) this.#lastKnown.set(socket, { authorization, principal });
    return principal;
  }

  async authenticate(exchange: Exchange): Promise<Principal | Problem> {
    const known = this.known(exchange);
    if (known !== undefined) return known;
    this.deps.traffic.isAnonymous(exchange);
    const token = this.tokenOf(exchange);
    if (token === undefined) return unauthenticated(exchange.req.headers.authorization !== undefined);
    try {
      return await this.deps.verifier.verify(token);
    } catch (cause) {
      if (cause instanceof GatewayError && cause.code === 'TOKEN_INVALID') return unauthenticated(true);
      throw cause;
    }
  }

  /** Permission, then account: a token without the permission learns nothing of accounts. */
  authorise(route: Route, exchange: Exchange, account: string | undefined): Problem | undefined {
    const { principal } = exchange;
    if (principal === undefined) return unauthenticated(false);
    if (route.permission !== 'none' && !principal.permissions.has(route.permission)) {
      return forbidden(`The token lacks the permission ${route.permission}.`, route.permission);
    }
    if (route.permission === 'trade' && principal.subject === NO_SUBJECT) {
      // Keys and orders belong to a subject: two callers without one would share theirs.
      return forbidden('The token names no subject (sub): it may not trade.', route.permission);
    }
    if (route.wholeInstance === true && !mayAdminister(principal)) {
      return forbidden('This route speaks of every account: a token of some accounts is not enough.', route.permission);
    }
    if (account !== undefined) {
      const problem = this.#accountProblem(exchange, principal, account);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  /** The limit of the subject without a promise; `wait` when only `limit` can tell, and nothing was counted. */
  limitNow(exchange: Exchange, principal: Principal): Problem | undefined | 'wait' {
    if (this.#subjects === undefined) return undefined;
    const allowance = this.#subjects.take(principal.subject);
    return allowance === undefined ? 'wait' : judge(exchange, allowance, undefined);
  }

  /** Limits of subject and account. */
  async limit(exchange: Exchange): Promise<Problem | undefined> {
    const { principal, accountId } = exchange;
    if (principal === undefined) return undefined;
    const bySubject = await this.#subjects?.acquire(principal.subject);
    if (bySubject?.allowed === false || accountId === undefined) return judge(exchange, bySubject, undefined);
    return judge(exchange, bySubject, await this.#accounts?.acquire(accountId));
  }

  #accountProblem(exchange: Exchange, principal: Principal, account: string): Problem | undefined {
    if (!isAccountId(account)) {
      const detail = 'has the wrong shape';
      return {
        code: 'validation-failed',
        detail: `account_id ${detail}`,
        errors: [{ field: 'account_id', in: 'path', detail }],
      };
    }
    // Both questions are always asked: a foreign and a missing account cost the same.
    const reachable = mayReach(principal, account);
    const exists = this.deps.router.exists(account);
    if (!(reachable && exists))
      return { code: 'account-not-found', detail: 'There is no such account within the reach of this token.' };
    exchange.accountId = account;
    return undefined;
  }
}

function judge(exchange: Exchange, bySubject?: Allowance, byAccount?: Allowance): Problem | undefined {
  const tightest = [bySubject, byAccount]
    .filter((one) => one !== undefined)
    .sort((a, b) => a.remaining - b.remaining)[0];
  if (tightest === undefined) return undefined;
  announce(exchange, tightest, tightest === byAccount ? 'account' : 'subject');
  const refused = [bySubject, byAccount].find((one) => one?.allowed === false);
  if (refused === undefined) return undefined;
  return {
    code: 'rate-limited',
    detail: 'The limit of requests a minute is used up.',
    retryAfterS: refused.resetsInS,
  };
}

/** draft-ietf-httpapi-ratelimit-headers. */
function announce(exchange: Exchange, allowance: Allowance, policy: string): void {
  exchange.extraHeaders.push('RateLimit-Policy', `"${policy}";q=${allowance.limit};w=60`);
  exchange.extraHeaders.push('RateLimit', `"${policy}";r=${allowance.remaining};t=${allowance.resetsInS}`);
}

/** One sentence for every reason: why a token failed is in the log of the verifier, not in the answer. */
function unauthenticated(given: boolean): Problem {
  const challenge = given ? 'Bearer realm="opitios", error="invalid_token"' : 'Bearer realm="opitios"';
  return {
    code: 'unauthenticated',
    detail: 'Send a valid token as `Authorization: Bearer …`.',
    headers: { 'WWW-Authenticate': challenge },
  };
}

function forbidden(detail: string, scope: string): Problem {
  return {
    code: 'permission-missing',
    detail,
    headers: { 'WWW-Authenticate': `Bearer realm="opitios", error="insufficient_scope", scope="${scope}"` },
  };
}
