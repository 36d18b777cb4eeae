/**
 * The AccountRouter of a worker. Mine: run it here. Another worker's: one mesh frame, its body bytes untouched. While
 * an owner is being replaced callers wait up to a short deadline. A request that may have reached an owner that then died
 * is repeated at its successor only where that cannot act twice: it reads, or it carries a key (RELIABILITY R1, R9).
 */
import type { AccountAnswer, AccountRequest, CallContext, SessionReport } from '../../kernel/domain/account-request.js';
import { GatewayError } from '../../kernel/domain/errors.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { ProblemCode } from '../../kernel/domain/problem.js';
import type { Mesh, MeshMessage } from '../../kernel/ipc/mesh.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { AccountRouter, RoutedAnswer } from './account-router.js';
import type { LocalAccounts } from './local-accounts.js';
import type { OwnershipView } from './ownership-view.js';
import type { SessionReports } from './session-reports.js';

export interface MeshRouterParts {
  readonly mesh: Mesh;
  readonly local: LocalAccounts;
  readonly ownership: OwnershipView;
  readonly reports: SessionReports;
  /** Configured trading accounts, in configuration order, as they are now. */
  readonly configured: () => ReadonlySet<AccountId>;
  readonly clock: Clock;
  readonly meter: Meter;
  /** A key for a request that came without one and crosses the mesh; undefined where callers must bring their own. */
  readonly newKey: () => string | undefined;
}

/** How long a caller waits for an owner that is being replaced. */
const OWNER_WAIT_MS = 5_000;
/** A missed wake-up costs this much at most. */
const RECHECK_MS = 100;
/** The owner answers its own deadline; the mesh waits this much longer so that its answer wins. */
const GRACE_MS = 250;

interface Routed {
  readonly request: AccountRequest;
  readonly context: CallContext;
}

export class MeshRouter implements AccountRouter {
  constructor(private readonly parts: MeshRouterParts) {
    parts.mesh.onCall('account', (message) => this.#serve(message.header as Routed));
    parts.mesh.onPeer(() => parts.ownership.changed());
  }

  accountIds(): readonly AccountId[] {
    return [...this.parts.configured()];
  }

  exists(accountId: AccountId): boolean {
    return this.parts.configured().has(accountId);
  }

  report(accountId: AccountId): SessionReport | undefined {
    return this.parts.reports.of(accountId);
  }

  async execute(asked: AccountRequest, context: CallContext, signal?: AbortSignal): Promise<RoutedAnswer> {
    const { clock, local } = this.parts;
    const request = local.has(asked.accountId) ? asked : this.#keyed(asked);
    const startedAt = clock.monotonicMs();
    const waitMs = Math.min(OWNER_WAIT_MS, context.budgetMs);
    for (;;) {
      const waitedMs = clock.monotonicMs() - startedAt;
      const left = { ...context, budgetMs: context.budgetMs - waitedMs };
      const here = local.execute(request, left);
      if (here !== undefined) {
        this.#count('local');
        return { answer: await here, meshMs: 0, queueMs: waitedMs };
      }
      const answer = await this.#ask({ request, context: left }, signal);
      if (answer !== undefined) return { ...answer, queueMs: waitedMs };
      if (signal?.aborted === true || waitedMs >= waitMs) return this.#unavailable(request, waitedMs);
      await this.#ownerMayHaveChanged(Math.min(RECHECK_MS, waitMs - waitedMs));
    }
  }

  /** Undefined when the owner is away and nothing was sent to it, or it answered that it does not own. */
  async #ask(routed: Routed, signal: AbortSignal | undefined): Promise<Omit<RoutedAnswer, 'queueMs'> | undefined> {
    const { mesh, ownership, clock } = this.parts;
    const owner = ownership.ownerOf(routed.request.accountId);
    if (owner === undefined || owner.slot === mesh.slot || !mesh.peers().includes(owner.slot)) return undefined;
    const startedAt = clock.monotonicMs();
    // Only a read may be given up by its caller: an order goes on when its client has left.
    const isRead = routed.request.kind === 'read' || routed.request.kind === 'describe';
    const options = {
      deadlineMs: routed.context.budgetMs + GRACE_MS,
      ...(isRead && signal !== undefined && { signal }),
    };
    try {
      const reply = await mesh.call(owner.slot, 'account', { header: routed }, options);
      const told = reply.header as Told;
      if (told.kind === 'not-owner') return undefined;
      this.#count('mesh');
      const totalMs = clock.monotonicMs() - startedAt;
      return { answer: readTold(told, reply.body), meshMs: Math.max(0, totalMs - told.ownerMs) };
    } catch (cause) {
      const answer = this.#afterFailure(cause, routed, isRead);
      return answer === undefined ? undefined : { answer, meshMs: clock.monotonicMs() - startedAt };
    }
  }

  /** Undefined: ask again. */
  #afterFailure(cause: unknown, { request }: Routed, isRead: boolean): AccountAnswer | undefined {
    const code = cause instanceof GatewayError ? cause.code : undefined;
    if (code === 'PEER_GONE' && mayRepeat(request)) return undefined;
    if (code === 'QUEUE_FULL') return problem('overloaded', 'too many requests wait for the owner of the account');
    if (code === 'CALL_CANCELED') return problem('owner-unavailable', 'the caller left');
    if (code === 'DEADLINE_EXCEEDED' && isRead)
      return problem('owner-unavailable', 'the owner did not answer in time', {}, 1);
    if (code === 'PEER_GONE' || code === 'DEADLINE_EXCEEDED') return this.#interrupted(request);
    throw cause;
  }

  /** The owner may have acted. A 5xx would invite a new key, so an order whose id can be named is `unknown`: 202. */
  #interrupted(request: AccountRequest): AccountAnswer {
    this.parts.meter.count('opitios_routing_interrupted_total');
    const detail = 'the owner did not answer; whether it acted is unknown';
    if (request.kind !== 'submit-order' || request.dryRun)
      return problem('owner-unavailable', detail, { outcome: 'unknown', retryable: false });
    const id = request.order['client_order_id'];
    const named = typeof id === 'string' ? { client_order_id: id } : {};
    const body = { status: 'unknown', ...named, detail: `${detail}: repeat the request with the same key to learn it` };
    const headers = { 'content-type': 'application/json', 'retry-after': '1', ...this.#whereToAsk(request) };
    return { kind: 'answer', status: 202, headers, body: Buffer.from(JSON.stringify(body)) };
  }

  /** With a key of its own a request can be repeated at the next owner without acting twice. */
  #keyed(request: AccountRequest): AccountRequest {
    if (mayRepeat(request)) return request;
    const idempotencyKey = this.parts.newKey();
    return idempotencyKey === undefined ? request : ({ ...request, idempotencyKey } as AccountRequest);
  }

  #whereToAsk(request: Extract<AccountRequest, { readonly kind: 'submit-order' }>): Readonly<Record<string, string>> {
    const id = request.order['client_order_id'];
    if (typeof id !== 'string') return {};
    const at = `/api/v1/accounts/${request.accountId}/orders/by-client-order-id/${encodeURIComponent(id)}`;
    return { location: at };
  }

  async #serve({ request, context }: Routed): Promise<MeshMessage> {
    const { clock, local } = this.parts;
    const startedAt = clock.monotonicMs();
    const running = local.execute(request, context);
    if (running === undefined) return { header: { kind: 'not-owner' } satisfies Told };
    const answer = await running;
    const ownerMs = clock.monotonicMs() - startedAt;
    if (answer.kind === 'problem') return { header: { ...answer, ownerMs } satisfies Told };
    const { body, ...head } = answer;
    return { header: { ...head, ownerMs } satisfies Told, body };
  }

  #ownerMayHaveChanged(withinMs: number): Promise<void> {
    return this.parts.ownership.nextChange((done) => this.parts.clock.after(withinMs, done));
  }

  #unavailable(request: AccountRequest, waitedMs: number): RoutedAnswer {
    this.#count('unavailable');
    const isKnown = this.exists(request.accountId);
    const answer = isKnown
      ? problem('owner-unavailable', 'no worker owns the account yet; nothing was sent', { retryable: true }, 1)
      : problem('account-not-found', 'there is no such account');
    return { answer, meshMs: 0, queueMs: waitedMs };
  }

  #count(way: 'local' | 'mesh' | 'unavailable'): void {
    this.parts.meter.count('opitios_routed_requests_total', { way });
  }
}

function mayRepeat(request: AccountRequest): boolean {
  switch (request.kind) {
    case 'submit-order':
      return (
        request.dryRun || request.idempotencyKey !== undefined || typeof request.order['client_order_id'] === 'string'
      );
    case 'replace-order':
    case 'close-position':
      return request.dryRun || request.idempotencyKey !== undefined;
    default:
      return true;
  }
}

/** An owner's answer on the mesh: its body travels beside it. */
type Told =
  | { readonly kind: 'not-owner' }
  | (Omit<Extract<AccountAnswer, { readonly kind: 'answer' }>, 'body'> & { readonly ownerMs: number })
  | (Extract<AccountAnswer, { readonly kind: 'problem' }> & { readonly ownerMs: number });

function readTold(told: Exclude<Told, { kind: 'not-owner' }>, body: Uint8Array | undefined): AccountAnswer {
  return told.kind === 'problem' ? told : { ...told, body: body ?? new Uint8Array() };
}

function problem(
  code: ProblemCode,
  detail: string,
  members: Readonly<Record<string, unknown>> = {},
  retryAfterS?: number,
): AccountAnswer {
  return { kind: 'problem', problem: { code, detail, members, ...(retryAfterS !== undefined && { retryAfterS }) } };
}
