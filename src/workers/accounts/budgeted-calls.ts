/** Every call of one account to the broker: through its breaker, within its budget, one attempt, an honest reply. */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { ExchangeResult, Precedence } from '../alpaca/broker-pool.js';
import type { BrokerWire } from '../alpaca/broker-wire.js';
import { rateHeadersOf, retryAfterOf } from '../alpaca/rate-headers.js';
import type { BrokerCall, BrokerReply, BudgetLane } from './account-session.js';
import { Breaker } from './breaker.js';
import { mirroredOf, textOf } from './mirrored.js';
import type { Admission, RateBudget } from './rate-budget.js';

/** Also between accounts, which share the sockets: what ends a risk before what takes one, and reads last. */
const PRECEDENCE: Readonly<Record<BudgetLane, Precedence>> = { cancel: 0, order: 1, lookup: 2, read: 3 };

/** What the broker says to other keys than the ones in use. */
export type KeysVerdict = 'same account' | 'other account' | 'refused' | 'unreachable';

const TRY_KEYS_MS = 10_000;

export class BudgetedCalls {
  #breaker: Breaker;
  #underWay = new Set<Promise<unknown>>();
  #lastSuccessAt: number | undefined;
  #lastError: { readonly code: string; readonly detail: string; readonly at: number } | undefined;
  #brokerTime: { readonly wallMs: number; readonly monotonicMs: number } | undefined;
  #clockOffsetMs: number | undefined;
  #isClosed = false;

  constructor(
    private wire: BrokerWire,
    readonly budget: RateBudget,
    private readonly clock: Clock,
    private readonly meter: Meter,
  ) {
    this.#breaker = new Breaker(clock);
  }

  /** Never rejects. */
  async send(call: BrokerCall): Promise<BrokerReply> {
    const startedAt = this.clock.monotonicMs();
    if (this.#isClosed) return notSent('closed', 'the session is closed');
    // What ends a risk or settles a doubt may always try.
    const breakerMs = call.lane === 'cancel' || call.lane === 'lookup' ? 0 : this.#breaker.waitMs();
    if (breakerMs > 0) return notSent('breaker', 'the account is refused or unreachable', Math.ceil(breakerMs / 1000));
    const admission = await this.budget.admit(call.lane, call.deadlineMs);
    if (admission.kind === 'refused') {
      this.#breaker.giveBack();
      return refused(admission);
    }
    const { permit } = admission;
    const spentMs = this.clock.monotonicMs() - startedAt;
    this.meter.observe('opitios_broker_queue_seconds', spentMs / 1000, { lane: call.lane });
    const sending = this.wire.send({
      method: call.method,
      precedence: PRECEDENCE[call.lane],
      path: call.path,
      deadlineMs: Math.max(1, call.deadlineMs - spentMs),
      ...(call.body !== undefined && { body: call.body }),
      ...(call.mayStillSend !== undefined && { mayStillSend: call.mayStillSend }),
      headers: {
        ...(call.traceparent !== undefined && { traceparent: call.traceparent }),
        ...(call.epoch !== undefined && { 'x-opitios-epoch': String(call.epoch) }),
      },
    });
    const underWay = this.#underWay.add(sending);
    const result = await sending;
    underWay.delete(sending);
    if (result.kind === 'not-sent') permit.giveBack();
    else permit.release(result.kind === 'answered' ? rateHeadersOf(result.headers) : undefined);
    this.#note(result);
    if (result.kind !== 'answered' || result.status !== 429) return result;
    return { ...result, retryAfterS: Math.max(1, Math.ceil(this.budget.waitMs(call.lane) / 1_000)) };
  }

  /** Asks whose keys these are, within the account's budget. @param brokerAccountId the broker's own id of the account */
  async tryKeys(wire: BrokerWire, brokerAccountId: string): Promise<KeysVerdict> {
    const calls = new BudgetedCalls(wire, this.budget, this.clock, this.meter);
    const reply = await calls.send({ method: 'GET', path: '/v2/account', lane: 'lookup', deadlineMs: TRY_KEYS_MS });
    if (reply.kind !== 'answered') return 'unreachable';
    if (reply.status === 401 || reply.status === 403) return 'refused';
    const account = reply.status === 200 ? mirroredOf(Buffer.from(reply.body).toString()) : undefined;
    if (account === undefined) return 'unreachable';
    return textOf(account.value, 'id') === brokerAccountId ? 'same account' : 'other account';
  }

  /** Calls from now on go by these keys. Resolves when those under way by the old ones have ended. */
  async useWire(wire: BrokerWire): Promise<void> {
    const underWay = [...this.#underWay];
    this.wire = wire;
    this.#breaker = new Breaker(this.clock);
    this.#underWay = new Set();
    await Promise.all(underWay);
  }

  health(): {
    readonly lastSuccessAgeMs?: number;
    readonly lastError?: { readonly code: string; readonly detail: string; readonly ageMs: number };
    readonly clockOffsetMs?: number;
  } {
    const now = this.clock.monotonicMs();
    return {
      ...(this.#clockOffsetMs !== undefined && { clockOffsetMs: this.#clockOffsetMs }),
      ...(this.#lastSuccessAt !== undefined && { lastSuccessAgeMs: Math.round(now - this.#lastSuccessAt) }),
      ...(this.#lastError !== undefined && {
        lastError: {
          code: this.#lastError.code,
          detail: this.#lastError.detail,
          ageMs: Math.round(now - this.#lastError.at),
        },
      }),
    };
  }

  /**
   * The broker's wall time at a monotonic moment, as its last answer told it; the own wall clock before the first. A
   * wall clock that is set meanwhile changes nothing.
   */
  brokerTimeAt(monotonicMs: number): number {
    const told = this.#brokerTime ?? { wallMs: this.clock.now(), monotonicMs: this.clock.monotonicMs() };
    return told.wallMs + (monotonicMs - told.monotonicMs);
  }

  noteError(code: string, detail: string): void {
    this.#lastError = { code, detail: detail.slice(0, 200), at: this.clock.monotonicMs() };
  }

  close(): void {
    this.#isClosed = true;
    this.budget.close();
  }

  #note(result: ExchangeResult): void {
    this.#breaker.note(result);
    const outcome = result.kind === 'answered' ? `${Math.floor(result.status / 100)}xx` : result.kind;
    this.meter.count('opitios_broker_calls_total', { outcome });
    if (result.kind !== 'answered') {
      this.noteError(result.kind, result.detail);
      return;
    }
    const wallMs = Date.parse(result.headers['date'] ?? '');
    if (!Number.isNaN(wallMs)) {
      this.#brokerTime = { wallMs, monotonicMs: this.clock.monotonicMs() };
      // A Date header tells the second that has begun.
      this.#clockOffsetMs = Math.round(wallMs + 500 - (this.clock.now() - result.upstreamMs / 2));
    }
    this.meter.observe('opitios_broker_call_seconds', result.upstreamMs / 1000);
    if (result.status < 300) this.#lastSuccessAt = this.clock.monotonicMs();
    else if (result.status >= 500 || result.status === 401)
      this.noteError(String(result.status), 'refused by the broker');
    if (result.status !== 429) return;
    const retryAfterS = retryAfterOf(result.headers, this.clock.now());
    const { resetsInMs } = this.budget.state();
    this.budget.pause(retryAfterS === undefined ? Math.max(1_000, resetsInMs) : retryAfterS * 1000 + 250);
  }
}

function refused({ reason, retryAfterS }: Extract<Admission, { readonly kind: 'refused' }>): BrokerReply {
  if (reason !== 'crowd') return notSent(reason, 'the request budget of this account is used up', retryAfterS);
  return notSent('budget', 'too many requests of this account wait for the broker already', retryAfterS);
}

function notSent(
  reason: Extract<BrokerReply, { kind: 'not-sent' }>['reason'],
  detail: string,
  retryAfterS?: number,
): BrokerReply {
  return { kind: 'not-sent', reason, detail, ...(retryAfterS !== undefined && { retryAfterS }) };
}
