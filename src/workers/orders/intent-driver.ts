/**
 * Brings one intent from its durable record to its outcome: sends it once, and when nobody can tell what became of it,
 * looks for it by its id until somebody can. Never mints a second id, never takes silence for an answer.
 *
 *   sending    an attempt is under way. Left when it ends, or early when the stream shows the order.
 *   searching  the outcome is unknown: lookups by schedule, a second attempt only where policy, age and misses allow it.
 *   watching   given up after the quarantine and a clean sweep; still looked for, seldom.
 *   settling   the verdict is final: the outcome is written, then told.
 */
import type { AccountSession, BrokerReply } from '../accounts/account-session.js';
import type { AccountJournal } from '../../kernel/journal/account-journal.js';
import { traceIdOf } from '../../kernel/runtime/tracer.js';
import type { OutcomeRecord } from '../../kernel/journal/records.js';
import { outcomeOf } from './answers.js';
import { classifyReply } from './core/classify.js';
import type { AttemptResult } from './core/evidence.js';
import { differencesOf, readOrder, type BrokerOrder } from './core/order-match.js';
import { FINAL_STATES, isTerminalOrder } from './core/outcome.js';
import { lookupDelayMs, mayGiveUp, mayResend, watchForMs } from './core/schedule.js';
import type { LiveIntent } from './live-intent.js';
import type { DeskOptions, DeskPorts } from './ports.js';

export interface DriverContext {
  readonly ports: DeskPorts;
  readonly options: () => DeskOptions;
  readonly session: AccountSession;
  readonly journal: AccountJournal;
  /** Aborts when the account is let go: nothing is sent or written any more. */
  readonly stopped: AbortSignal;
  /** Asked right before the first byte leaves. */
  readonly maySend: () => boolean;
  /** Reads all orders since the intent's time; every one of them is noted. False when the broker could not be read. */
  readonly sweep: (since: number) => Promise<boolean>;
  /** Everything that the broker said about an account passes here: the breaker listens. */
  readonly heard: (reply: BrokerReply) => void;
  /** An order as an answer or a look-up showed it, before its event: it may have been filled already. */
  readonly acknowledged: (order: BrokerOrder) => void;
  /** The order is known now, and somebody had asked for its cancel, or it came too late to be wanted. */
  readonly cancelKnown: (live: LiveIntent, brokerOrderId: string) => void;
  readonly traceparent: string | undefined;
}

/** A slow answer is waited for this long before the search begins beside it. */
const SLOW_ATTEMPT_MS = 500;
/** The stream was faster than the answer: this long the answer's own bytes are waited for. */
const ANSWER_GRACE_MS = 250;
const LOOKUP_DEADLINE_MS = 5_000;
const OUTCOME_RETRY_MS = 1_000;

export class IntentDriver {
  #attemptUnderWay = false;
  #lookups = 0;
  #misses = 0;
  #unknownSince: number;
  #inJournal = false;
  #inAudit = false;

  constructor(
    private readonly live: LiveIntent,
    private readonly context: DriverContext,
  ) {
    this.#unknownSince = context.ports.clock.monotonicMs();
  }

  /** A new intent, durable already. Ends when the outcome is told or the account is let go. */
  async send(): Promise<void> {
    void this.#attempt(1);
    await this.#untilFinal();
  }

  /** An intent that a former owner left open, with the evidence that it left. */
  async resume(): Promise<void> {
    if (this.live.intent.abandonedAt !== undefined) this.live.note({ kind: 'given-up' });
    await this.#untilFinal();
  }

  async #untilFinal(): Promise<void> {
    while (!this.#isStopped()) {
      if (this.#isFinal()) {
        await this.#settle();
        return;
      }
      if (this.#attemptUnderWay && this.#lookups === 0) {
        await this.#waitForEvidence(this.#slowAttemptLeftMs());
        if (this.#isFinal() || !this.#isSlow()) continue;
      }
      await this.#search();
    }
  }

  /** False while a young attempt is still waited for. */
  #isSlow(): boolean {
    return !this.#attemptUnderWay || this.#slowAttemptLeftMs() <= 0;
  }

  #isStopped(): boolean {
    return this.context.stopped.aborted;
  }

  #slowAttemptLeftMs(): number {
    return this.#unknownSince + SLOW_ATTEMPT_MS - this.context.ports.clock.monotonicMs();
  }

  #isFinal(): boolean {
    if (!FINAL_STATES.has(this.live.verdict.state)) return false;
    return !(this.live.verdict.notSent?.kind === 'throttled' && this.#mayResend(true));
  }

  async #attempt(number: number): Promise<void> {
    const { session, ports, options, maySend, traceparent, heard } = this.context;
    const { intent } = this.live;
    this.#attemptUnderWay = true;
    this.live.note({ kind: 'attempt', attempt: number, result: { kind: 'under-way' } });
    const reply = await session.send({
      method: intent.kind === 'replace' ? 'PATCH' : 'POST',
      path: intent.path,
      body: intent.body,
      lane: 'order',
      deadlineMs: options().attemptDeadlineMs,
      mayStillSend: () => {
        if (!maySend() || !this.#markFirstByte()) return false;
        ports.crash.reach('K3');
        return true;
      },
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(options().marksEpoch === true && { epoch: session.epoch }),
    });
    ports.crash.reach('K4');
    heard(reply);
    const result = await this.#judgeReply(reply);
    ports.meter.count('opitios_order_attempts_total', { result: result.kind });
    if (result.kind === 'ambiguous') {
      ports.log.warn({ ...this.#fields(), detail: result.detail, attempt: number }, 'order outcome unknown');
    }
    this.#attemptUnderWay = false;
    this.#unknownSince = ports.clock.monotonicMs();
    // What was looked up beside the attempt came too early to count: the search begins anew, dense again.
    [this.#lookups, this.#misses] = [0, 0];
    this.live.note({ kind: 'attempt', attempt: number, result });
  }

  /** Seen by a successor of this process; the byte leaves in this very turn. */
  #markFirstByte(): boolean {
    const { firstByte } = this.live.intent;
    return firstByte === undefined || (this.context.ports.firstBytes?.set(firstByte) ?? true);
  }

  /** A refused replacement may have been carried out all the same: the original is asked once whether it was. */
  async #judgeReply(reply: BrokerReply): Promise<AttemptResult> {
    const result = classifyReply(reply, this.live.wanted);
    const { replaces } = this.live.wanted;
    const isRefusal = result.kind === 'refused' || result.kind === 'duplicate-id';
    if (!isRefusal || result.status !== 422 || replaces === undefined) return result;
    const original = await this.#readOrder(replaces);
    if (original === undefined) return { kind: 'ambiguous', detail: 'refused, and the original could not be read' };
    const successor = original['replaced_by'];
    // Also for a used id: an original without a successor was not replaced under any id.
    if (typeof successor !== 'string') return { kind: 'refused', status: result.status, alpaca: result.alpaca };
    const order = await this.#readOrder(successor);
    if (order === undefined) return { kind: 'ambiguous', detail: 'refused, and the original is replaced' };
    this.live.noteOrder(order, 'lookup');
    return result;
  }

  async #readOrder(orderId: string): Promise<BrokerOrder | undefined> {
    const path = `/v2/orders/${encodeURIComponent(orderId)}`;
    const reply = await this.context.session.send({
      method: 'GET',
      path,
      lane: 'lookup',
      deadlineMs: LOOKUP_DEADLINE_MS,
    });
    return reply.kind === 'answered' && reply.status === 200 ? readOrder(reply.body) : undefined;
  }

  /** One turn of the search: wait, look, then decide about resending or giving up. */
  async #search(): Promise<void> {
    const { ports } = this.context;
    const throttled = this.live.verdict.notSent?.kind === 'throttled';
    const abandoned = this.live.verdict.state === 'ABANDONED';
    await this.#waitForEvidence(lookupDelayMs(this.#lookups, abandoned, ports.entropy.next()));
    if (this.#isStopped() || this.#isFinal()) return;
    this.#lookups += 1;
    if (!throttled) await this.#lookUp();
    if (this.#isStopped() || this.#isFinal()) return;
    if (this.#mayResend(throttled)) {
      await this.#resend();
      return;
    }
    await this.#considerGivingUp();
  }

  async #lookUp(): Promise<void> {
    const { session, ports, heard, traceparent } = this.context;
    const mirrored = session.mirror.orderByClientOrderId(this.live.clientOrderId);
    if (mirrored !== undefined) this.live.noteOrder(mirrored, 'list');
    if (this.#isFinal()) return;
    const reply = await session.send({
      method: 'GET',
      path: `/v2/orders:by_client_order_id?client_order_id=${encodeURIComponent(this.live.clientOrderId)}`,
      lane: 'lookup',
      deadlineMs: LOOKUP_DEADLINE_MS,
      ...(traceparent === undefined ? {} : { traceparent }),
    });
    heard(reply);
    if (reply.kind !== 'answered') return;
    if (reply.status === 404) this.#misses += 1;
    const order = reply.status === 200 ? readOrder(reply.body) : undefined;
    if (order !== undefined) this.live.noteOrder(order, 'lookup');
    const found = order === undefined ? 'miss' : 'hit';
    ports.meter.count('opitios_order_lookups_total', { result: reply.status === 404 ? 'miss' : found });
  }

  #mayResend(throttled: boolean): boolean {
    const { intent } = this.live;
    if (this.#attemptUnderWay || this.context.stopped.aborted) return false;
    return mayResend({
      policy: intent.ambiguous,
      attempts: intent.attempts,
      misses: this.#misses,
      throttled,
      ageMs: this.live.hasKnownAge ? this.live.ageMs : Infinity,
      maxAgeMs: intent.maxAgeMs,
    });
  }

  /** The second attempt is counted on disk first: a successor must not make a third. */
  async #resend(): Promise<void> {
    const attempts = this.live.intent.attempts + 1;
    // Set before the write is asked for: a cancel that is noted meanwhile must not write the old count back.
    this.live.intent = { ...this.live.intent, attempts };
    try {
      await Promise.all([this.context.journal.amendIntent(this.live.intent), this.#auditAttempt(attempts)]);
    } catch (cause) {
      this.context.ports.log.error({ ...this.#fields(), cause }, 'second attempt not written down');
      return;
    }
    if (this.#isFinalPositive() || !this.#stillYoung()) return;
    void this.#attempt(attempts);
  }

  async #auditAttempt(attempt: number): Promise<void> {
    const { accountId, subject, requestId, clientOrderId, path } = this.live.intent;
    const facts = { client_order_id: clientOrderId, attempt, path, body: this.live.body };
    await this.context.ports.audit.append({ kind: 'attempt', accountId, subject, requestId, facts });
  }

  #isFinalPositive(): boolean {
    return this.live.verdict.state === 'ACKED';
  }

  /** Asked again after the wait for the disk. */
  #stillYoung(): boolean {
    return this.live.ageMs < this.live.intent.maxAgeMs && !this.context.stopped.aborted;
  }

  async #considerGivingUp(): Promise<void> {
    const { ports, options, sweep, journal } = this.context;
    const { intent } = this.live;
    const { ageMs, heldMs } = this.live;
    if (this.live.verdict.state === 'ABANDONED') {
      if (ageMs >= watchForMs(intent.recordedAt)) await this.#settle();
      return;
    }
    const { quarantineAfterMs } = options().orders;
    if (this.#attemptUnderWay || !mayGiveUp({ heldMs, quarantineAfterMs, sweptClean: true })) return;
    const sweptClean = await sweep(intent.recordedAt);
    if (!mayGiveUp({ heldMs, quarantineAfterMs, sweptClean }) || this.#isFinal()) return;
    this.live.note({ kind: 'given-up' });
    if (this.#isFinal()) return;
    this.live.intent = { ...this.live.intent, abandonedAt: ports.clock.now() };
    ports.log.error(this.#fields(), 'order abandoned unconfirmed');
    ports.meter.count('opitios_orders_abandoned_total');
    await journal.amendIntent(this.live.intent).catch((cause: unknown) => {
      ports.log.error({ ...this.#fields(), cause }, 'journal refused an abandonment');
    });
  }

  /**
   * The outcome is on disk before anybody is told (docs/order-protocol.md R12); while it cannot be written, callers are
   * told `unknown`.
   */
  async #settle(): Promise<void> {
    const { ports, session, stopped, acknowledged } = this.context;
    if (this.live.verdict.state === 'ACKED') await this.#graceForAnswer();
    for (;;) {
      if (this.#isStopped()) return;
      const outcome = outcomeOf(this.live.verdict, this.live.intent, ports.clock.now());
      if (await this.#record(outcome)) {
        ports.crash.reach('K5');
        const { order, text } = this.live.verdict;
        if (order !== undefined) {
          session.noteOrder(order, text);
          acknowledged(order);
          this.#noteRewriting(order);
        }
        ports.meter.count('opitios_order_outcomes_total', { state: outcome.state });
        this.live.settle(outcome);
        this.#cancelIfAsked(outcome);
        return;
      }
      await ports.clock.sleep(OUTCOME_RETRY_MS, stopped);
    }
  }

  /** The order is ours by its id; a field that the broker wrote otherwise is worth a look. */
  #noteRewriting(order: BrokerOrder): void {
    const { ports } = this.context;
    const fields = differencesOf(this.live.wanted, order);
    if (fields.length === 0) return;
    ports.meter.count('opitios_orders_rewritten_total');
    const [asked, got] = [this.live.body, order].map((side) =>
      Object.fromEntries(fields.map((name) => [name, side[name]])),
    );
    ports.log.warn({ ...this.#fields(), asked, got }, 'the broker rewrote fields of an order');
  }

  async #record(outcome: OutcomeRecord): Promise<boolean> {
    const { ports, journal } = this.context;
    const { intent } = this.live;
    const facts = {
      client_order_id: intent.clientOrderId,
      state: outcome.state,
      ...(outcome.brokerOrderId === undefined ? {} : { order_id: outcome.brokerOrderId }),
      ...(outcome.answer.kind === 'problem'
        ? { code: outcome.answer.problem.code, detail: outcome.answer.problem.detail }
        : {}),
    };
    const { accountId, subject, requestId } = intent;
    // Each part is written once, however often the other has to be tried again.
    const parts: readonly Promise<unknown>[] = [
      this.#inJournal
        ? Promise.resolve()
        : journal.recordOutcome(intent.clientOrderId, outcome).then(() => (this.#inJournal = true)),
      this.#inAudit
        ? Promise.resolve()
        : ports.audit
            .append({ kind: 'outcome', accountId, subject, requestId, facts })
            .then(() => (this.#inAudit = true)),
    ];
    for (const part of await Promise.allSettled(parts)) {
      if (part.status === 'rejected') {
        ports.log.error({ ...this.#fields(), cause: part.reason as unknown }, 'order outcome not written');
      }
    }
    return this.#inJournal && this.#inAudit;
  }

  #cancelIfAsked(outcome: OutcomeRecord): void {
    const { order } = this.live.verdict;
    if (outcome.brokerOrderId === undefined || order === undefined || isTerminalOrder(order)) return;
    const unwanted = outcome.state === 'ACKED_LATE' && this.live.intent.onLate === 'cancel';
    if (unwanted || this.live.intent.cancelRequested) this.context.cancelKnown(this.live, outcome.brokerOrderId);
  }

  /** An order that ends at once brings several events before its answer: none of them is what is waited for. */
  async #graceForAnswer(): Promise<void> {
    const { clock } = this.context.ports;
    const end = clock.monotonicMs() + ANSWER_GRACE_MS;
    while (this.#attemptUnderWay && !this.#isStopped() && clock.monotonicMs() < end) {
      await this.#waitForEvidence(end - clock.monotonicMs());
    }
  }

  async #waitForEvidence(ms: number): Promise<void> {
    // Whoever stops the account wakes its intents.
    if (!this.context.stopped.aborted) await this.context.ports.clock.sleep(ms, this.live.nextEvidence());
  }

  #fields(): Readonly<Record<string, unknown>> {
    const { accountId, clientOrderId, requestId } = this.live.intent;
    return { accountId, clientOrderId, requestId, traceId: traceIdOf(this.context.traceparent) };
  }
}
