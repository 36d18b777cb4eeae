/** Runs one route for one exchange: gate, validation, handler, answer. Whatever happens, the caller gets one answer. */
import joi from 'joi';
import type { OrderNaming } from '../../kernel/domain/account-request.js';
import { MASTER_ACCOUNT_ID, type AccountId } from '../../kernel/domain/identifiers.js';
import type { Problem } from '../../kernel/domain/problem.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Exchange } from './exchange.js';
import { Forwarding } from './forwarding.js';
import type { EdgeConfig, Gate } from './gate.js';
import { parseQuery } from './query-text.js';
import { announcesBody, readJsonBody, readNoBody, type BodyLimits } from './request-body.js';
import type { Call, Doors, Reply, Route } from './routes/route.js';
import { validate } from './schema/validation.js';
import type { Sender } from './sending.js';

const KEY_CHARS_MAX = 255;
const KEY = /^[\x21-\x7e]+$/;

export type ServeRoute = (exchange: Exchange, path: Readonly<Record<string, string>>) => void;

export interface ServeDeps {
  readonly gate: Gate;
  readonly doors: Doors;
  readonly sender: Sender;
  readonly config: EdgeConfig;
  readonly log: Log;
  /** Absent where the instance is alone. */
  readonly forwarding: Forwarding | undefined;
  /** For an order whose caller named neither key nor id. */
  readonly newKey: () => string;
}

type Input = Pick<Call, 'query' | 'body' | 'idempotencyKey' | 'sentBefore'>;
type Checked =
  | { readonly kind: 'input'; readonly input: Input }
  | { readonly kind: 'problem'; readonly problem: Problem }
  | { readonly kind: 'aborted' };

const NO_BODY: Call['body'] = {};

export function serveRoute(route: Route, deps: ServeDeps): ServeRoute {
  return new RouteServer(route, deps).serve;
}

class RouteServer {
  readonly #path: joi.ObjectSchema;
  readonly #query: joi.ObjectSchema;

  constructor(
    private readonly route: Route,
    private readonly deps: ServeDeps,
  ) {
    const required = Object.entries(route.path ?? {}).map(([name, schema]) => [name, schema.required()] as const);
    this.#path = joi.object(Object.fromEntries(required));
    const query = joi.object({ ...route.query });
    this.#query = route.exclusive === undefined ? query : query.oxor(...route.exclusive);
  }

  readonly serve: ServeRoute = (exchange, path) => {
    const { gate, sender, log } = this.deps;
    exchange.route = this.route;
    const refusal = gate.admit(this.route, exchange);
    if (refusal !== undefined) {
      this.#refuse(exchange, refusal);
      return;
    }
    if (this.route.quick !== undefined && this.#quick(exchange, path)) return;
    this.#run(exchange, path).catch((cause: unknown) => {
      const { requestId, traceId } = exchange.ids;
      log.error({ cause, requestId, traceId, route: this.route.template }, 'request failed');
      sender.problem(exchange, {
        code: 'internal-error',
        detail: 'The request failed inside the gateway; quote the request id.',
      });
    });
  };

  /** True when the answer is out. Anything unusual is left to the long way. */
  #quick(exchange: Exchange, path: Readonly<Record<string, string>>): boolean {
    const { gate, doors, sender } = this.deps;
    if (exchange.req.url?.includes('?') === true || announcesBody(exchange.req)) return false;
    const principal = gate.known(exchange);
    if (principal === undefined) return false;
    const answer = this.route.quick?.(path, doors);
    if (answer === undefined) return false;
    exchange.principal = principal;
    const refusal =
      gate.takePlace(this.route, exchange, principal) ??
      gate.authorise(this.route, exchange, undefined) ??
      gate.limitNow(exchange, principal);
    if (refusal === 'wait') return false;
    if (refusal === undefined) sender.reply(exchange, answer);
    else this.#refuse(exchange, refusal);
    return true;
  }

  async #run(exchange: Exchange, path: Readonly<Record<string, string>>): Promise<void> {
    const { gate, doors, sender } = this.deps;
    const refusal = await this.#authorise(exchange, path['account_id'], gate);
    if (refusal !== undefined) {
      this.#refuse(exchange, refusal);
      return;
    }
    const checked = await this.#check(exchange, path);
    if (checked.kind === 'aborted') return;
    if (checked.kind === 'problem') {
      this.#refuse(exchange, checked.problem);
      return;
    }
    const call = this.#call(exchange, path, checked.input);
    const { forwarding } = this.deps;
    const reply =
      forwarding === undefined
        ? await this.route.handle(call, doors)
        : await this.#answerAnywhere(exchange, call, forwarding);
    sender.reply(exchange, reply);
  }

  /** Here or at the instance that holds the account, also when it moves while the request waits. */
  async #answerAnywhere(exchange: Exchange, call: Call, forwarding: Forwarding): Promise<Reply> {
    const accountId = this.#servedFor(exchange);
    if (accountId === undefined) return this.route.handle(call, this.deps.doors);
    const isOrder = this.route.work === 'order';
    const { idempotencyKey } = call;
    const orderId = this.#orderIdOf(call);
    const named = {
      ...{ orderId, signal: isOrder ? new AbortController().signal : call.signal },
      ...(idempotencyKey !== undefined && { idempotencyKey }),
    };
    let mayHaveActed = call.sentBefore === 'perhaps';
    for (;;) {
      const budgetMs = forwarding.leftOf(exchange, call.context.budgetMs);
      const isElsewhere =
        accountId === MASTER_ACCOUNT_ID ? forwarding.isThere(accountId) : forwarding.isElsewhere(accountId);
      if (isElsewhere) {
        if (Forwarding.wasForwarded(exchange)) return { kind: 'problem', problem: Forwarding.notHere() };
        const answer = await forwarding.answer(exchange, accountId, { ...named, budgetMs, mayHaveActed });
        if (answer.kind === 'answered') return answer.reply;
        mayHaveActed = answer.mayHaveActed;
      }
      const left: Call = {
        ...call,
        ...(mayHaveActed && { sentBefore: 'perhaps' }),
        context: { ...call.context, budgetMs: Math.max(1, forwarding.leftOf(exchange, call.context.budgetMs)) },
      };
      const reply = await this.route.handle(left, this.deps.doors);
      const hasMoved = reply.kind === 'problem' && reply.problem.code === 'misdirected-request';
      if (hasMoved && !Forwarding.wasForwarded(exchange) && budgetMs > 0) continue;
      return mayHaveActed ? Forwarding.afterAttempt(reply, exchange, accountId, orderId) : reply;
    }
  }

  #orderIdOf(call: Call): string | undefined {
    const request = this.route.places?.(call);
    return request === undefined ? undefined : this.deps.doors.router.orderIdOf(request, call.context.subject);
  }

  /** The account whose holder answers: for market data the master, which one instance holds. */
  #servedFor({ accountId }: Exchange): AccountId | undefined {
    return this.route.permission === 'market_data' ? MASTER_ACCOUNT_ID : accountId;
  }

  /** Then it is counted where it is answered. */
  #isForwarded(exchange: Exchange): boolean {
    const { forwarding } = this.deps;
    const servedFor = this.#servedFor(exchange);
    if (forwarding === undefined || servedFor === undefined || Forwarding.wasForwarded(exchange)) return false;
    return forwarding.isThere(servedFor);
  }

  async #authorise(exchange: Exchange, account: string | undefined, gate: Gate): Promise<Problem | undefined> {
    if (this.route.permission === 'none') {
      gate.isAnonymous(exchange);
      return undefined;
    }
    const found = await gate.authenticate(exchange);
    if ('code' in found) return found;
    exchange.principal = found;
    const refusal = gate.takePlace(this.route, exchange, found) ?? gate.authorise(this.route, exchange, account);
    if (refusal !== undefined || this.#isForwarded(exchange)) return refusal;
    return gate.limit(exchange);
  }

  async #check(exchange: Exchange, path: Readonly<Record<string, string>>): Promise<Checked> {
    const { req } = exchange;
    const pathResult = validate(this.#path, { ...path }, 'path');
    if (pathResult.kind === 'problem') return pathResult;
    const parsed = parseQuery(req.url ?? '');
    if (parsed.kind === 'problem') return parsed;
    const query = validate(this.#query, { ...parsed.values }, 'query');
    if (query.kind === 'problem') return query;
    const key = this.#idempotencyKey(exchange);
    if (typeof key === 'object') return { kind: 'problem', problem: key };
    const body = await this.#body(exchange);
    if (body.kind !== 'value') return body;
    const naming = this.#namingOf(exchange, key, body.value);
    return { kind: 'input', input: { query: query.value as Call['query'], body: body.value, ...naming } };
  }

  /** Decided here, once: whichever way the request takes from now on, it names the same order. */
  #namingOf(exchange: Exchange, key: string | undefined, body: Call['body']): OrderNaming {
    if (this.route.places === undefined) return {};
    const sentBefore = this.deps.forwarding === undefined ? undefined : Forwarding.sentBeforeOf(exchange);
    const isNamed = key !== undefined || typeof body['client_order_id'] === 'string';
    if (!isNamed) return { idempotencyKey: this.deps.newKey(), sentBefore: 'never' };
    return { ...(key !== undefined && { idempotencyKey: key }), ...(sentBefore !== undefined && { sentBefore }) };
  }

  #idempotencyKey(exchange: Exchange): string | undefined | Problem {
    const key = exchange.req.headers['idempotency-key'];
    if (this.route.places === undefined) return undefined;
    if (key === undefined) {
      if (!this.deps.config.orders.requireIdempotencyKey) return undefined;
      return {
        code: 'idempotency-key-required',
        detail: 'Send an Idempotency-Key header.',
        errors: [keyError('is required')],
      };
    }
    if (typeof key === 'string' && key.length <= KEY_CHARS_MAX && KEY.test(key)) return key;
    const detail = `must be 1 to ${KEY_CHARS_MAX} visible ASCII characters`;
    return { code: 'idempotency-key-malformed', detail: `Idempotency-Key ${detail}`, errors: [keyError(detail)] };
  }

  async #body(
    exchange: Exchange,
  ): Promise<{ kind: 'value'; value: Call['body'] } | { kind: 'problem'; problem: Problem } | { kind: 'aborted' }> {
    const { route } = this;
    if (route.body === undefined) {
      const found = await readNoBody(exchange.req);
      if (found === 'aborted') return { kind: 'aborted' };
      return found === 'empty' ? { kind: 'value', value: NO_BODY } : noBodyTaken();
    }
    const result = await this.#read(exchange, {
      bytesMax: route.bodyBytesMax ?? this.deps.config.limits.bodyBytesMax,
      ...(route.bodyValuesMax !== undefined && { valuesMax: route.bodyValuesMax }),
    });
    if (result.kind === 'aborted' || result.kind === 'problem') return result;
    if (result.kind === 'empty' && route.bodyOptional === true) return { kind: 'value', value: NO_BODY };
    if (result.kind === 'empty') {
      return {
        kind: 'problem',
        problem: {
          code: 'request-malformed',
          detail: 'The request needs a JSON body.',
          errors: [{ field: 'body', in: 'body', detail: 'is required' }],
        },
      };
    }
    return validate(route.body, route.places === undefined ? result.value : withoutNulls(result.value), 'body');
  }

  #read(exchange: Exchange, limits: BodyLimits): ReturnType<typeof readJsonBody> {
    if (this.deps.forwarding === undefined) return readJsonBody(exchange.req, limits);
    return readJsonBody(exchange.req, limits, (bytes) => (exchange.rawBody = bytes));
  }

  #call(exchange: Exchange, path: Readonly<Record<string, string>>, input: Input): Call {
    const { req, res, principal, ids } = exchange;
    const gone = new AbortController();
    // A completed answer closes too; then nobody listens any more.
    res.once('close', () => gone.abort());
    return {
      ...input,
      path,
      accountId: exchange.accountId,
      principal,
      context: {
        requestId: ids.requestId,
        subject: principal?.subject ?? 'anonymous',
        ...(principal?.tokenId === undefined ? {} : { tokenId: principal.tokenId }),
        traceparent: ids.traceparent,
        budgetMs: this.#budgetOf(exchange),
      },
      acceptsGzip: acceptsGzip(req.headers['accept-encoding']),
      signal: gone.signal,
    };
  }

  #budgetOf(exchange: Exchange): number {
    const { requestTimeoutMs } = this.deps.config.limits;
    return this.deps.forwarding === undefined ? requestTimeoutMs : Forwarding.budgetOf(exchange, requestTimeoutMs);
  }

  #refuse(exchange: Exchange, problem: Problem): void {
    // What the client still sends of its body would be read as the next request's head, or for nothing.
    if (announcesBody(exchange.req) && !exchange.req.complete) exchange.mustClose = true;
    this.deps.sender.problem(exchange, problem);
  }
}

/** `null` for an optional member of an order is the same as its absence. */
function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => member !== null);
  return Object.fromEntries(members.map(([name, member]) => [name, withoutNulls(member)]));
}

function keyError(detail: string): { field: string; in: 'header'; detail: string } {
  return { field: 'idempotency-key', in: 'header', detail };
}

/** Its content is not read. */
function noBodyTaken(): { kind: 'problem'; problem: Problem } {
  const errors = [{ field: 'body', in: 'body' as const, detail: 'this route takes no body' }];
  return { kind: 'problem', problem: { code: 'validation-failed', detail: 'This route takes no body.', errors } };
}

/** RFC 9110 12.5.3, as far as it concerns gzip. */
function acceptsGzip(header: string | string[] | undefined): boolean {
  const coding = String(header ?? '')
    .split(',')
    .map((one) => one.trim().toLowerCase().split(';'))
    .find(([name]) => name?.trim() === 'gzip');
  if (coding === undefined) return false;
  const quality = /^\s*q=([\d.]+)\s*$/.exec(coding[1] ?? '');
  return Number(quality?.[1] ?? 1) > 0;
}
