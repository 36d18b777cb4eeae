/**
 * Requests for accounts of other instances. While an account changes hands callers wait up to a short deadline. An
 * attempt that may have acted is repeated at the next holder: it reads, or it does the same twice without harm, or it
 * carries what names its order, so that the order is placed once.
 */
import type { AccountAnswer } from '../../kernel/domain/account-request.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { ProblemCode } from '../../kernel/domain/problem.js';
import type { InstanceAddress } from '../../kernel/ipc/instances.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { unknownAnswer } from '../orders/answers.js';
import type { ForwardedRequest, ForwardReply, InstanceForwarder } from './instance-forwarder.js';
import type { InstanceMap, Place } from './instance-map.js';

export interface ElsewhereRequest extends ForwardedRequest {
  readonly accountId: AccountId;
  readonly budgetMs: number;
  /** Of a request that places an order: what the broker will know it by, whoever places it. */
  readonly orderId?: string;
  /** A holder that is gone may have acted on it before this is called. */
  readonly mayHaveActed: boolean;
}

export type ElsewhereReply =
  | { readonly kind: 'answered'; readonly answer: AccountAnswer }
  /** The account turns out to be here. */
  | { readonly kind: 'here'; readonly mayHaveActed: boolean };

/** How long a caller waits while nobody holds the account: a lease's time to live, and the next one's start. */
const HOLDER_WAIT_MS = 8_000;
/** A missed wake-up costs this much at most. */
const RECHECK_MS = 50;

export class Elsewhere {
  constructor(
    private readonly parts: {
      readonly map: InstanceMap;
      readonly forwarder: InstanceForwarder;
      readonly clock: Clock;
      readonly meter: Meter;
    },
  ) {}

  placeOf(accountId: AccountId): Place {
    return this.parts.map.placeOf(accountId);
  }

  /** Never rejects. */
  async answer(request: ElsewhereRequest, signal: AbortSignal): Promise<ElsewhereReply> {
    const { clock, meter } = this.parts;
    const startedAt = clock.monotonicMs();
    let { mayHaveActed } = request;
    for (;;) {
      const leftMs = request.budgetMs - (clock.monotonicMs() - startedAt);
      const place = this.placeOf(request.accountId);
      if (place.kind === 'here') return { kind: 'here', mayHaveActed };
      if (place.kind === 'there' && leftMs > 0) {
        const reply = await this.#try({ ...request, mayHaveActed }, place.instance, leftMs, signal);
        const verdict = verdictOf(reply, mayHaveActed);
        meter.count('opitios_forwarded_requests_total', { result: verdict });
        if (verdict === 'answered' && reply.kind === 'answered') return { kind: 'answered', answer: passedOn(reply) };
        if (verdict === 'ambiguous') mayHaveActed = true;
      }
      const spentMs = clock.monotonicMs() - startedAt;
      if (signal.aborted || spentMs >= Math.min(HOLDER_WAIT_MS, request.budgetMs))
        return { kind: 'answered', answer: mayHaveActed ? interrupted(request) : unavailable() };
      await this.#change(RECHECK_MS);
    }
  }

  async waitForHolder(accountId: AccountId, withinMs: number): Promise<Place> {
    const { clock } = this.parts;
    const end = clock.monotonicMs() + Math.min(HOLDER_WAIT_MS, withinMs);
    while (this.placeOf(accountId).kind === 'nowhere' && clock.monotonicMs() < end) await this.#change(RECHECK_MS);
    return this.placeOf(accountId);
  }

  async close(): Promise<void> {
    await this.parts.forwarder.close();
  }

  /** Given up when the account leaves that instance meanwhile: it may be stopped and never answer. */
  async #try(
    request: ElsewhereRequest,
    to: InstanceAddress,
    budgetMs: number,
    signal: AbortSignal,
  ): Promise<ForwardReply> {
    const moved = new AbortController();
    const done = new AbortController();
    void this.#watch(request.accountId, to, moved, done.signal);
    const leave = AbortSignal.any([moved.signal, signal]);
    const { mayHaveActed } = request;
    const reply = await this.parts.forwarder.send(request, to, { budgetMs, mayHaveActed, signal: leave });
    done.abort();
    return reply;
  }

  async #watch(accountId: AccountId, at: InstanceAddress, moved: AbortController, done: AbortSignal): Promise<void> {
    while (!done.aborted) {
      const place = this.placeOf(accountId);
      if (place.kind === 'here' || (place.kind === 'there' && place.instance.instanceId !== at.instanceId)) {
        moved.abort();
        return;
      }
      await this.parts.map.nextChange((wake) => {
        done.addEventListener('abort', wake, { once: true });
        return () => done.removeEventListener('abort', wake);
      });
    }
  }

  #change(withinMs: number): Promise<void> {
    return this.parts.map.nextChange((wake) => this.parts.clock.after(withinMs, wake));
  }
}

type Verdict = 'answered' | 'not-holder' | 'in-flight' | 'not-sent' | 'ambiguous';

function verdictOf(reply: ForwardReply, mayHaveActed: boolean): Verdict {
  if (reply.kind !== 'answered') return reply.kind;
  if (reply.status === 421) return 'not-holder';
  // Our own earlier attempt, still under way at its holder.
  if (mayHaveActed && reply.status === 409 && codeOf(reply.body) === 'request-in-flight') return 'in-flight';
  if (reply.status === 503 && ['draining', 'owner-unavailable'].includes(codeOf(reply.body))) return 'not-holder';
  return 'answered';
}

function codeOf(body: Uint8Array): string {
  try {
    const { code } = JSON.parse(Buffer.from(body).toString('utf8')) as { readonly code?: unknown };
    return typeof code === 'string' ? code : '';
  } catch {
    return '';
  }
}

/** Each instance puts its own on an answer; the caller gets those of the one that it spoke to. Limits count at the holder. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'content-security-policy',
  'cross-origin-opener-policy',
  'cross-origin-resource-policy',
  'origin-agent-cluster',
  'referrer-policy',
  'strict-transport-security',
  'traceparent',
  'x-content-type-options',
  'x-frame-options',
]);

function passedOn(reply: Extract<ForwardReply, { readonly kind: 'answered' }>): AccountAnswer {
  const headers = Object.fromEntries(Object.entries(reply.headers).filter(([name]) => !OWN_HEADERS.has(name)));
  return { kind: 'answer', status: reply.status, headers, body: reply.body };
}

/** The holder may have acted. A 5xx would invite a new key, so an order is `unknown`: 202. */
export function interrupted(request: Pick<ElsewhereRequest, 'accountId' | 'orderId' | 'method'>): AccountAnswer {
  const { orderId, accountId } = request;
  if (orderId !== undefined) return unknownAnswer(accountId, orderId);
  const isRead = request.method === 'GET';
  return problem('owner-unavailable', 'the instance that holds the account did not answer', {
    retryable: isRead,
    ...(!isRead && { outcome: 'unknown' }),
  });
}

function unavailable(): AccountAnswer {
  return problem('owner-unavailable', 'no instance holds the account now; nothing was sent', { retryable: true });
}

function problem(code: ProblemCode, detail: string, members: Readonly<Record<string, unknown>>): AccountAnswer {
  return { kind: 'problem', problem: { code, detail, members, retryAfterS: 1 } };
}
