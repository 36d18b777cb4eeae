/**
 * Decides for one exchange whether another instance must answer it, and how the caller is told so: forwarded, refused
 * with 421, or sent there with 307. Absent where the instance is alone.
 */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { Problem, ProblemCode } from '../../kernel/domain/problem.js';
import { interrupted, type Elsewhere, type ElsewhereRequest } from '../routing/elsewhere.js';
import { BUDGET_HEADER, FORWARDED_HEADER, SENT_BEFORE_HEADER } from '../routing/instance-forwarder.js';
import type { Exchange } from './exchange.js';
import type { Call, Reply } from './routes/route.js';

export interface ForwardingDeps {
  readonly elsewhere: Elsewhere;
  readonly mode: 'forward' | 'misdirected' | 'redirect';
  readonly monotonicMs: () => number;
}

/** Headers that mean something to the one that answers. Everything else of the hop is this instance's own. */
const PASSED_ON = ['authorization', 'content-type', 'idempotency-key', 'accept-encoding', 'if-none-match'] as const;

export class Forwarding {
  constructor(private readonly deps: ForwardingDeps) {}

  isElsewhere(accountId: AccountId): boolean {
    return this.deps.elsewhere.placeOf(accountId).kind !== 'here';
  }

  isThere(accountId: AccountId): boolean {
    return this.deps.elsewhere.placeOf(accountId).kind === 'there';
  }

  /** Milliseconds left of the budget. */
  leftOf({ startedMs }: Exchange, budgetMs: number): number {
    return budgetMs - (this.deps.monotonicMs() - startedMs);
  }

  /** Whether this one was forwarded already: then it is answered here or not at all. */
  static wasForwarded({ req }: Exchange): boolean {
    return req.headers[FORWARDED_HEADER] !== undefined;
  }

  /** What the forwarding instance's caller will still wait; never more than our own limit. */
  static budgetOf({ req }: Exchange, limitMs: number): number {
    const given = Number(req.headers[BUDGET_HEADER]);
    return Number.isFinite(given) && given > 0 ? Math.min(limitMs, given) : limitMs;
  }

  static notHere(): Problem {
    return { code: 'misdirected-request', detail: 'Another instance holds this account.', retryAfterS: 1 };
  }

  /** What the forwarding instance knows of earlier attempts; counts on a forwarded request only. */
  static sentBeforeOf(exchange: Exchange): 'perhaps' | undefined {
    const isSaid = Forwarding.wasForwarded(exchange) && exchange.req.headers[SENT_BEFORE_HEADER] === 'perhaps';
    return isSaid ? 'perhaps' : undefined;
  }

  /** Answers, or says that the account is here after all. */
  async answer(exchange: Exchange, accountId: AccountId, call: ForwardedCall): Promise<ForwardingReply> {
    const { elsewhere, mode } = this.deps;
    if (mode === 'forward') {
      const reply = await elsewhere.answer(this.#request(exchange, accountId, call), call.signal);
      return reply.kind === 'here' ? reply : { kind: 'answered', reply: reply.answer };
    }
    const place = await elsewhere.waitForHolder(accountId, call.budgetMs);
    if (place.kind === 'here') return { kind: 'here', mayHaveActed: call.mayHaveActed };
    if (place.kind === 'nowhere') {
      const detail = 'No instance holds the account now; nothing was sent.';
      return answered({ kind: 'problem', problem: { code: 'owner-unavailable', detail, retryAfterS: 1 } });
    }
    const location = `${place.instance.url}${exchange.req.url ?? ''}`;
    if (mode === 'redirect')
      return answered({ kind: 'answer', status: 307, headers: { location }, body: new Uint8Array() });
    const problem = { ...Forwarding.notHere(), members: { instance_id: place.instance.instanceId } };
    return answered({ kind: 'problem', problem: { ...problem, headers: { 'Content-Location': location } } });
  }

  /**
   * An answer of ours after an earlier holder may have acted: what says that nothing was sent is not known to be true of
   * both, so the order is unknown.
   */
  static afterAttempt(reply: Reply, exchange: Exchange, accountId: AccountId, orderId: string | undefined): Reply {
    if (orderId === undefined || reply.kind === 'answer' || SAYS_WHAT_BECAME.has(reply.problem.code)) return reply;
    return interrupted({ accountId, orderId, method: exchange.req.method ?? 'POST' });
  }

  #request(exchange: Exchange, accountId: AccountId, call: ForwardedCall): ElsewhereRequest {
    const { req, ids, rawBody } = exchange;
    const headers: Record<string, string> = { 'x-request-id': ids.requestId, traceparent: ids.traceparent };
    for (const name of PASSED_ON) {
      const value = req.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    // The caller's, or the one that was made where the request was read.
    if (call.idempotencyKey !== undefined) headers['idempotency-key'] = call.idempotencyKey;
    const { budgetMs, mayHaveActed, orderId } = call;
    return {
      ...{ accountId, budgetMs, mayHaveActed, headers, body: rawBody },
      method: req.method ?? 'GET',
      path: req.url ?? '/',
      ...(orderId !== undefined && { orderId }),
    };
  }
}

/** A request as it goes on, and what is known of it so far. */
export interface ForwardedCall extends Pick<Call, 'idempotencyKey' | 'signal'> {
  readonly budgetMs: number;
  /** Of a request that places an order. */
  readonly orderId: string | undefined;
  readonly mayHaveActed: boolean;
}

export type ForwardingReply =
  { readonly kind: 'answered'; readonly reply: Reply } | { readonly kind: 'here'; readonly mayHaveActed: boolean };

/** These come from the broker's word or from the order's record; any other refusal speaks of one attempt only. */
const SAYS_WHAT_BECAME: ReadonlySet<ProblemCode> = new Set([
  'venue-rejected',
  'client-order-id-collision',
  'idempotency-key-reused',
]);

function answered(reply: Reply): ForwardingReply {
  return { kind: 'answered', reply };
}
