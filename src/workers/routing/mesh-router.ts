/**
 * The AccountRouter of a worker. Mine: run it here. Another worker's: one mesh frame, its body bytes untouched. While
 * an owner is being replaced callers wait up to a short deadline. A request that may have reached an owner that then
 * died is repeated at its successor only where that cannot act twice: it reads, or it carries a key
 * (docs/order-protocol.md R1, R9).
 */
import type { AccountAnswer, AccountRequest, CallContext, SessionReport } from '../../kernel/domain/account-request.js';
import { GatewayError } from '../../kernel/domain/errors.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { ProblemCode } from '../../kernel/domain/problem.js';
import type { Mesh, MeshMessage } from '../../kernel/ipc/mesh.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { silentTracer, traced, type Tracer } from '../../kernel/runtime/tracer.js';
import { unknownAnswer } from '../orders/answers.js';
import { isPlacing, namesItsOrder, orderIdOf } from '../orders/order-id.js';
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
  /** What client order ids are derived from now. */
  readonly namespace: () => string;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly tracer?: Tracer;
  /** Another instance holds the account, or will soon: only where several share the accounts. */
  readonly isElsewhere?: (accountId: AccountId) => boolean;
}

/** How long a caller waits for an owner that is being replaced. */
const OWNER_WAIT_MS = 5_000;
/** A missed wake-up costs this much at most. */
const RECHECK_MS = 100;
/** The owner answers its own deadline; the mesh waits this much longer so that its answer wins. */
const GRACE_MS = 250;

type Told = Omit<RoutedAnswer, 'queueMs'>;

interface Routed {
  readonly request: AccountRequest;
  readonly context: CallContext;
}

export class MeshRouter implements AccountRouter {
  readonly #tracer: Tracer;

  constructor(private readonly parts: MeshRouterParts) {
    this.#tracer = parts.tracer ?? silentTracer;
    parts.mesh.onCall('account', (message) => this.#serve(message.header as Routed));
    parts.mesh.onPeer(() => parts.ownership.changed());
  }

  accountIds(): readonly AccountId[] {
    return [...this.parts.configured()];
  }

  exists(accountId: AccountId): boolean {
    return this.parts.configured().has(accountId);
  }

  orderIdOf(request: AccountRequest, subject: string): string | undefined {
    return isPlacing(request) && !request.dryRun ? orderIdOf(request, subject, this.parts.namespace()) : undefined;
  }

  report(accountId: AccountId): SessionReport | undefined {
    return this.parts.reports.of(accountId);
  }

  async execute(asked: AccountRequest, context: CallContext, signal?: AbortSignal): Promise<RoutedAnswer> {
    const { clock, local } = this.parts;
    let request = asked;
    const startedAt = clock.monotonicMs();
    const waitMs = Math.min(OWNER_WAIT_MS, context.budgetMs);
    let isInterrupted = false;
    for (;;) {
      const waitedMs = clock.monotonicMs() - startedAt;
      const left = { ...context, budgetMs: context.budgetMs - waitedMs };
      const here = local.execute(request, left);
      const told =
        here === undefined ? await this.#ask({ request, context: left }, signal) : await this.#mine(here, request);
      if (told === 'interrupted') {
        isInterrupted = true;
        request = askedAgain(request);
      } else if (told !== undefined && !(isInterrupted && provesNothing(request, told.answer))) {
        this.#count(here === undefined ? 'mesh' : 'local');
        return { ...told, queueMs: waitedMs };
      }
      if (!isInterrupted && this.parts.isElsewhere?.(request.accountId) === true)
        return {
          answer: problem('misdirected-request', 'another instance holds the account', {}, 1),
          meshMs: 0,
          queueMs: waitedMs,
        };
      if (waitedMs >= waitMs && isInterrupted)
        return { answer: this.#interrupted(request, context), meshMs: 0, queueMs: waitedMs };
      if (signal?.aborted === true || waitedMs >= waitMs) return this.#unavailable(request, waitedMs);
      await this.#ownerMayHaveChanged(Math.min(RECHECK_MS, waitMs - waitedMs));
    }
  }

  /** Undefined when the account left while the request waited: nothing was sent, and the next owner is asked. */
  async #mine(here: Promise<AccountAnswer>, request: AccountRequest): Promise<Told | undefined> {
    const answer = await here;
    return this.#hasLeft(answer, request) ? undefined : { answer, meshMs: 0 };
  }

  #hasLeft(answer: AccountAnswer, request: AccountRequest): boolean {
    if (answer.kind !== 'problem' || this.parts.local.has(request.accountId)) return false;
    const isRead = request.kind === 'read' || request.kind === 'describe';
    return isRead || answer.problem.code === 'order-not-sent' || answer.problem.code === 'account-unavailable';
  }

  /**
   * Undefined when the owner is away and nothing was sent to it, or it answered that it does not own; `interrupted` when
   * it went away after it may have acted, and the request may be repeated.
   */
  async #ask(routed: Routed, signal: AbortSignal | undefined): Promise<Told | 'interrupted' | undefined> {
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
      const reply = await traced(this.#tracer, ['client', 'mesh ask', routed.context.traceparent], (span) => {
        span?.set({ 'opitios.request': routed.request.kind, 'opitios.owner': owner.slot });
        return mesh.call(owner.slot, 'account', { header: underSpan(routed, span?.traceparent) }, options);
      });
      const told = reply.header as OwnerTold;
      if (told.kind === 'not-owner') return undefined;
      const totalMs = clock.monotonicMs() - startedAt;
      return { answer: readTold(told, reply.body), meshMs: Math.max(0, totalMs - told.ownerMs) };
    } catch (cause) {
      const answer = this.#afterFailure(cause, routed, isRead);
      return answer === 'interrupted' ? answer : { answer, meshMs: clock.monotonicMs() - startedAt };
    }
  }

  #afterFailure(cause: unknown, { request, context }: Routed, isRead: boolean): AccountAnswer | 'interrupted' {
    const code = cause instanceof GatewayError ? cause.code : undefined;
    if (code === 'PEER_GONE' && mayRepeat(request)) return 'interrupted';
    if (code === 'QUEUE_FULL') return problem('overloaded', 'too many requests wait for the owner of the account');
    if (code === 'CALL_CANCELED') return problem('owner-unavailable', 'the caller left');
    if (code === 'DEADLINE_EXCEEDED' && isRead)
      return problem('owner-unavailable', 'the owner did not answer in time', {}, 1);
    if (code === 'PEER_GONE' || code === 'DEADLINE_EXCEEDED') return this.#interrupted(request, context);
    throw cause;
  }

  /** The owner may have acted. A 5xx would invite a new key, so an order whose id can be named is `unknown`: 202. */
  #interrupted(request: AccountRequest, { subject }: CallContext): AccountAnswer {
    this.parts.meter.count('opitios_routing_interrupted_total');
    if (request.kind === 'read' || request.kind === 'describe')
      return problem('owner-unavailable', 'the owner of the account is being replaced', { retryable: true }, 1);
    const id = this.orderIdOf(request, subject);
    if (id !== undefined) return unknownAnswer(request.accountId, id);
    const detail = 'the owner did not answer; whether it acted is unknown';
    return problem('owner-unavailable', detail, { outcome: 'unknown', retryable: false });
  }

  #serve(asked: Routed): Promise<MeshMessage> {
    return traced(this.#tracer, ['server', 'mesh serve', asked.context.traceparent], (span) => {
      span?.set({ 'opitios.request': asked.request.kind, 'opitios.slot': this.parts.mesh.slot });
      return this.#serveHere(underSpan(asked, span?.traceparent));
    });
  }

  async #serveHere({ request, context }: Routed): Promise<MeshMessage> {
    const { clock, local } = this.parts;
    const startedAt = clock.monotonicMs();
    const running = local.execute(request, context);
    if (running === undefined) return { header: { kind: 'not-owner' } satisfies OwnerTold };
    const answer = await running;
    if (this.#hasLeft(answer, request)) return { header: { kind: 'not-owner' } satisfies OwnerTold };
    const ownerMs = clock.monotonicMs() - startedAt;
    if (answer.kind === 'problem') return { header: { ...answer, ownerMs } satisfies OwnerTold };
    const { body, ...head } = answer;
    return { header: { ...head, ownerMs } satisfies OwnerTold, body };
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

function underSpan(routed: Routed, traceparent: string | undefined): Routed {
  return traceparent === undefined ? routed : { ...routed, context: { ...routed.context, traceparent } };
}

/** The first is our own earlier attempt; the others come from an owner that has not read the journal of the one before. */
const PROVE_NOTHING: ReadonlySet<ProblemCode> = new Set(['request-in-flight', 'account-unavailable', 'overloaded']);

/** After an interruption: whether the owner that is gone acted is not known by this. */
function provesNothing(request: AccountRequest, answer: AccountAnswer): boolean {
  return isPlacing(request) && answer.kind === 'problem' && PROVE_NOTHING.has(answer.problem.code);
}

function mayRepeat(request: AccountRequest): boolean {
  return !isPlacing(request) || request.dryRun || namesItsOrder(request);
}

/** The journal of the next owner, on the same disk, says what the one before did with it. */
function askedAgain(request: AccountRequest): AccountRequest {
  if (!isPlacing(request)) return request;
  const { sentBefore, ...named } = request;
  return sentBefore === 'never' ? named : request;
}

/** An owner's answer on the mesh: its body travels beside it. */
type OwnerTold =
  | { readonly kind: 'not-owner' }
  | (Omit<Extract<AccountAnswer, { readonly kind: 'answer' }>, 'body'> & { readonly ownerMs: number })
  | (Extract<AccountAnswer, { readonly kind: 'problem' }> & { readonly ownerMs: number });

function readTold(told: Exclude<OwnerTold, { kind: 'not-owner' }>, body: Uint8Array | undefined): AccountAnswer {
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
