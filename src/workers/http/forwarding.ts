/**
 * Decides for one exchange whether another instance must answer it, and how the caller is told so: forwarded, refused
 * with 421, or sent there with 307. Absent where the instance is alone.
 */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { Problem } from '../../kernel/domain/problem.js';
import type { Elsewhere, ElsewhereRequest } from '../routing/elsewhere.js';
import { BUDGET_HEADER, FORWARDED_HEADER } from '../routing/instance-forwarder.js';
import type { Exchange } from './exchange.js';
import type { Reply, Route } from './routes/route.js';

export interface ForwardingDeps {
  readonly elsewhere: Elsewhere;
  readonly mode: 'forward' | 'misdirected' | 'redirect';
  /** For a request that came without a key; undefined where callers must bring their own. */
  readonly newKey: () => string | undefined;
  readonly monotonicMs: () => number;
}

/** Headers that mean something to the one that answers. Everything else of the hop is this instance's own. */
const PASSED_ON = ['authorization', 'content-type', 'idempotency-key', 'accept-encoding', 'if-none-match'] as const;
const OWN_ID = /"client_order_id"\s*:\s*"([^"\\]{1,128})"/;

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

  /** Undefined when the account is here after all. */
  async answer(
    exchange: Exchange,
    accountId: AccountId,
    call: { readonly body: Uint8Array | undefined; readonly budgetMs: number; readonly signal: AbortSignal },
  ): Promise<Reply | undefined> {
    const { elsewhere, mode } = this.deps;
    if (mode === 'forward') return elsewhere.answer(this.#request(exchange, accountId, call), call.signal);
    const place = await elsewhere.waitForHolder(accountId, call.budgetMs);
    if (place.kind === 'here') return undefined;
    if (place.kind === 'nowhere') {
      const detail = 'No instance holds the account now; nothing was sent.';
      return { kind: 'problem', problem: { code: 'owner-unavailable', detail, retryAfterS: 1 } };
    }
    const location = `${place.instance.url}${exchange.req.url ?? ''}`;
    if (mode === 'redirect') return { kind: 'answer', status: 307, headers: { location }, body: new Uint8Array() };
    const problem = { ...Forwarding.notHere(), members: { instance_id: place.instance.instanceId } };
    return { kind: 'problem', problem: { ...problem, headers: { 'Content-Location': location } } };
  }

  #request(
    exchange: Exchange,
    accountId: AccountId,
    { body, budgetMs }: { readonly body: Uint8Array | undefined; readonly budgetMs: number },
  ): ElsewhereRequest {
    const { req, ids, route, principal } = exchange;
    const headers: Record<string, string> = { 'x-request-id': ids.requestId, traceparent: ids.traceparent };
    for (const name of PASSED_ON) {
      const value = req.headers[name];
      if (typeof value === 'string') headers[name] = value;
    }
    const clientOrderId = body === undefined ? undefined : OWN_ID.exec(Buffer.from(body).toString('utf8'))?.[1];
    const takesKey = route?.idempotent === true;
    if (takesKey && headers['idempotency-key'] === undefined && clientOrderId === undefined) {
      const key = this.deps.newKey();
      if (key !== undefined) headers['idempotency-key'] = key;
    }
    const key = headers['idempotency-key'];
    const assetClass = submitted(route);
    return {
      ...{ accountId, budgetMs, headers, body },
      method: req.method ?? 'GET',
      path: req.url ?? '/',
      mayRepeat: !takesKey || key !== undefined || clientOrderId !== undefined,
      ...(assetClass !== undefined && {
        order: {
          ...{ assetClass, subject: principal?.subject ?? '' },
          ...(key !== undefined && { idempotencyKey: key }),
          ...(clientOrderId !== undefined && { clientOrderId }),
        },
      }),
    };
  }
}

function submitted(route: Route | undefined): 'stocks' | 'options' | undefined {
  if (route?.name === 'submitStockOrder') return 'stocks';
  return route?.name === 'submitOptionOrder' ? 'options' : undefined;
}
