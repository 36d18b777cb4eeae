/**
 * The desk of one account: admits intents, makes them durable, sends each once and answers with what is proven. Holds
 * the account's open intents and hears its trade updates; cancels and closings are in cancel-desk.ts.
 */
import { setMaxListeners } from 'node:events';
import type { AccountAnswer, CallContext, TradingState } from '../../kernel/domain/account-request.js';
import type { AccountJournal } from '../../kernel/journal/account-journal.js';
import type { OrderEvent } from '../../kernel/domain/order-event.js';
import type { AccountSession, TradeUpdate } from '../accounts/account-session.js';
import { admit, viewOfAdmission, type AdmissionFacts, type Candidate, type Refusal } from './admission.js';
import { answerOf, notSent, problemAnswer, unavailable, unknownAnswer } from './answers.js';
import { compareDecimals, printDecimal, readDecimal, subtractDecimals, ZERO } from '../../kernel/domain/decimal.js';
import { isRecord, readJson, type BrokerOrder } from './core/order-match.js';
import { makeDurable } from './durable-intent.js';
import { EventRecorder } from './event-recorder.js';
import { IntentDriver, type DriverContext } from './intent-driver.js';
import { Closings } from './closings.js';
import { AnsweredFills } from './exposure/answered-fills.js';
import { Exposure } from './exposure/exposure.js';
import type { InstrumentBook } from './instruments/instrument-book.js';
import { formerIdOf, type FormerId } from './former-id.js';
import { identify, likenessOf, type IntentIdentity, type IntentPlan } from './intent-plan.js';
import { KnownIntents } from './known-intents.js';
import { noteLateOrder } from './late-order.js';
import { LiveIntent } from './live-intent.js';
import { dryRunAnswer, newIntent } from './new-intent.js';
import { namespaceIn } from './order-id.js';
import { sweepOrders, type SweepGate } from './order-sweep.js';
import type { DeskOptions, DeskPorts, Mark } from './ports.js';
import { namesIn, viewOrder, type OrderView } from './risk/order-view.js';
import { auditRecovered, evidenceLeft, isUnsent } from './recovered-intents.js';
import { RefusalBreaker } from './refusal-breaker.js';
import { RecentOrders } from './risk/recent-orders.js';
import { rulesOf } from './risk/risk-gate.js';
import { keepTenancy } from './tenancy.js';
import { stricter } from './trading-control.js';

/** The body of a computed order, or why there is none now. */
export type ComputedOrder =
  { readonly kind: 'order'; readonly body: BrokerOrder } | { readonly kind: 'refused'; readonly answer: AccountAnswer };

/** What a plan needs besides itself. */
export interface PlaceOptions {
  /** Of a replacement: the order that it replaces. */
  readonly original?: BrokerOrder;
  /** Of a close: asked again right before the order counts, since other orders may have come meanwhile. */
  readonly compute?: () => ComputedOrder;
}

export interface DeskShared {
  readonly ports: DeskPorts;
  readonly options: () => DeskOptions;
  readonly tradingStateOfAll: () => TradingState;
  /** Why no account here may place an order now. */
  readonly refusedOrders: () => string | undefined;
  readonly sweeps: SweepGate;
  readonly instruments: InstrumentBook;
  readonly tell: (event: OrderEvent) => void;
  /** A cancel that was waiting for the order to be known, or that the late policy asks for. */
  readonly cancelKnown: (desk: AccountDesk, live: LiveIntent, brokerOrderId: string) => void;
}

/** Kept of the caller's budget for the way back. */
const ANSWER_MARGIN_MS = 50;
/** A disk that is slower keeps the account waiting no longer; until it has them, these are unknown like the others. */
const SETTLE_UNSENT_MS = 1_000;

export class AccountDesk {
  readonly known: KnownIntents;
  readonly events: EventRecorder;
  readonly #breaker: RefusalBreaker;
  readonly #recent: RecentOrders;
  readonly #answered: AnsweredFills;
  readonly closings: Closings;
  readonly #stopped = new AbortController();
  #unsubscribe: () => void = () => undefined;
  #closedBecause: string | undefined;
  #sweeping: Promise<boolean> | undefined;

  constructor(
    readonly session: AccountSession,
    readonly journal: AccountJournal,
    readonly shared: DeskShared,
  ) {
    const { ports, options, tell } = shared;
    this.known = new KnownIntents(journal);
    this.events = new EventRecorder(journal, ports, tell);
    this.#breaker = new RefusalBreaker(ports.clock);
    const { accountId } = session;
    this.#recent = new RecentOrders(ports.clock, () => rulesOf(options().risk, accountId).duplicateWindowMs ?? 0);
    this.closings = new Closings(ports.clock, journal.hasEvents());
    // Every order that waits for anything listens for the end of the desk.
    setMaxListeners(0, this.#stopped.signal);
    this.#answered = new AnsweredFills(ports.clock, (name) => shared.instruments.known(name));
  }

  /** Hears the session from now on, after what it said meanwhile. */
  open(heardBefore: readonly TradeUpdate[]): void {
    for (const update of heardBefore) this.#hear(update);
    const ends = [
      this.session.onTradeUpdate((update) => this.#hear(update)),
      this.session.onBrokerAccount(() => this.#keepTenancy()),
    ];
    this.#unsubscribe = () => ends.forEach((end) => end());
    this.#keepTenancy();
  }

  #keepTenancy(): void {
    keepTenancy(this.session, this.journal).catch((cause: unknown) => {
      const { accountId } = this.session;
      this.shared.ports.log.error({ accountId, cause }, 'the name of the brokerage account is not recorded');
    });
  }

  get stopped(): AbortSignal {
    return this.#stopped.signal;
  }

  tradingState(): TradingState {
    return stricter(this.shared.tradingStateOfAll(), this.journal.tradingState()?.state ?? 'ACTIVE');
  }

  /** Nothing more of this account is sent; the reason is told to whoever tries. */
  closeFor(reason: string): void {
    this.#closedBecause = reason;
  }

  /** What the caller is told if this request is known already; undefined when it is new. */
  replay(plan: IntentPlan, context: CallContext): AccountAnswer | undefined {
    const acquaintance = this.known.meet(this.#identify(plan, context), plan.fingerprint);
    return acquaintance.kind === 'known' ? acquaintance.answer : undefined;
  }

  /**
   * One intent, from admission to a truthful answer.
   * @throws GatewayError JOURNAL_BROKEN
   */
  async place(planned: IntentPlan, context: CallContext, needs: PlaceOptions = {}): Promise<AccountAnswer> {
    const { original, compute } = needs;
    const { ports, options } = this.shared;
    let plan = planned;
    const identity = this.#identify(plan, context);
    if (identity.isFresh && options().orders.requireIdempotencyKey) {
      return problemAnswer('idempotency-key-required', 'Send an Idempotency-Key or a client_order_id.');
    }
    const early = this.known.meet(identity, plan.fingerprint);
    if (early.kind === 'known') return early.answer;
    const former = await this.#formerId(plan, identity);
    if (former.kind === 'unavailable') return unavailable('The broker could not say whether the key was used before.');
    const order = await this.#viewOf(mergedBody(plan.body, original));
    // Refused here is not the same as not sent: it is looked for, as an order that a former owner left open.
    const mayBeSent = (plan.sentBefore === 'perhaps' || former.kind === 'found') && !plan.dryRun;
    if (order.kind === 'refused' && !mayBeSent) return order.answer;
    const likeness = likenessOf(plan);
    const candidate =
      order.kind === 'refused' ? undefined : { likeness, isClose: plan.kind === 'close', order: order.view };
    const fetched = new Map<string, Mark>();
    let judged = this.#judge(candidate, fetched, original);
    while (judged.refusal !== undefined && (await this.#fetchQuote(judged.refusal, fetched)))
      judged = this.#judge(candidate, fetched, original);
    // From the last judgement to the note that this one is under way there is no await: neither two requests with one
    // key nor two that share what a rule leaves can both pass.
    const { facts, refusal } = judged;
    const acquaintance = this.known.meet(identity, plan.fingerprint);
    if (acquaintance.kind === 'known') return acquaintance.answer;
    if (refusal !== undefined && !mayBeSent) {
      ports.meter.count('opitios_orders_refused_total', { by: refusal.denial === undefined ? 'state' : 'risk' });
      if (refusal.denial !== undefined && !plan.dryRun) await this.#auditDenial(plan, context, refusal.denial);
      if (!plan.dryRun || candidate === undefined) return refusal.answer;
      return withView(refusal.answer, viewOfAdmission(candidate, facts));
    }
    const computed = refusal === undefined ? compute?.() : undefined;
    if (computed?.kind === 'refused') return computed.answer;
    if (computed !== undefined) plan = { ...plan, body: computed.body };
    const named = former.kind === 'found' ? { ...identity, ...former } : { ...identity, ...acquaintance };
    const intent = newIntent(plan, context, {
      ...{ identity: named, journal: this.journal, orders: options().orders, now: ports.clock.now() },
      firstByte: mayBeSent ? undefined : ports.firstBytes?.next(),
    });
    if (plan.dryRun) return dryRunAnswer(intent, candidate === undefined ? {} : viewOfAdmission(candidate, facts));
    const live = new LiveIntent(intent, ports.clock);
    if (mayBeSent) live.note({ kind: 'taken-over' });
    this.known.add(live);
    this.#recent.note(live.clientOrderId, likeness);
    void live.settled.then(({ state }) => {
      if (state === 'NOT_SENT') this.#recent.notSent(live.clientOrderId);
    });
    if (!(await makeDurable(live, likeness, this.journal, ports))) return this.#notWritten(live, mayBeSent);
    ports.crash.reach('K2');
    void this.#drive(
      live,
      context.traceparent,
      plan.kind === 'close' || this.tradingState() === 'REDUCING',
      (driver) => (refusal === undefined && candidate !== undefined ? driver.send() : driver.resume()),
    );
    return this.#awaitAnswer(live, context);
  }

  #notWritten(live: LiveIntent, mayBeSent: boolean): AccountAnswer {
    this.known.remove(live);
    this.#recent.notSent(live.clientOrderId);
    if (mayBeSent) return unknownAnswer(this.session.accountId, live.clientOrderId);
    return notSent('journal', 'The order could not be written down, so it was not sent.');
  }

  /**
   * Takes over the open intents of a former owner. Before this has run no order may be placed.
   * @throws GatewayError JOURNAL_BROKEN
   */
  scan(): readonly LiveIntent[] {
    const open = this.journal.openIntents().map((intent) => {
      const { clock } = this.shared.ports;
      return new LiveIntent(intent, clock, clock.now() - intent.recordedAt);
    });
    const { clock } = this.shared.ports;
    const earlier = this.journal.recentIntents(clock.now(), this.#recent.reachMs);
    this.#recent.inherit(earlier.map(({ at, ...one }) => ({ ...one, ageMs: clock.now() - at })));
    for (const { clientOrderId } of earlier) this.#inheritClose(clientOrderId, clock.now());
    for (const live of open) {
      live.callerGone = true;
      live.note(evidenceLeft(live.intent, this.shared.ports.firstBytes));
      this.known.add(live);
    }
    return open;
  }

  #inheritClose(clientOrderId: string, now: number): void {
    const intent = this.journal.intent(clientOrderId);
    const outcome = this.journal.outcome(clientOrderId);
    if (intent?.kind !== 'close' || outcome?.brokerOrderId === undefined) return;
    const key = this.#keyOf((JSON.parse(intent.body) as BrokerOrder)['symbol']);
    if (key !== undefined) this.closings.inherit(key, clientOrderId, now - outcome.at);
  }

  /** What never left is settled before the account is answered for, so that its key can be used at once. */
  async settleUnsent(open: readonly LiveIntent[]): Promise<void> {
    const unsent = open.filter(isUnsent);
    if (unsent.length === 0) return;
    const { ports } = this.shared;
    ports.log.warn({ accountId: this.session.accountId, unsent: unsent.length }, 'open intents were never sent');
    for (const live of unsent) this.#recent.notSent(live.clientOrderId);
    void auditRecovered(unsent, ports);
    const limit = new AbortController();
    const settled = Promise.all(unsent.map((live) => this.#drive(live, undefined, false, (driver) => driver.resume())));
    await Promise.race([settled, ports.clock.sleep(SETTLE_UNSENT_MS, limit.signal)]);
    limit.abort();
  }

  /** First one list that settles most of them, then a search for each of the rest. */
  async recover(found: readonly LiveIntent[]): Promise<void> {
    const open = found.filter((live) => !isUnsent(live));
    this.events.finishPendingFills();
    if (open.length > 0) {
      this.shared.ports.log.warn({ accountId: this.session.accountId, open: open.length }, 'open intents recovered');
      // Not waited for: the trail keeps its order, so this stands before the record that any attempt waits for.
      void auditRecovered(open, this.shared.ports);
      await this.sweep(Math.min(...open.map(({ intent }) => intent.recordedAt)));
    }
    for (const live of open) void this.#drive(live, undefined, false, (driver) => driver.resume());
  }

  /** One at a time for the account: who asks meanwhile shares the next. */
  async sweep(since: number): Promise<boolean> {
    while (this.#sweeping !== undefined) await this.#sweeping;
    this.#sweeping = this.shared.sweeps.run(() =>
      this.stopped.aborted
        ? Promise.resolve(false)
        : sweepOrders(this.session, since, (order) => this.note(order, 'list')),
    );
    try {
      return await this.#sweeping;
    } finally {
      this.#sweeping = undefined;
    }
  }

  /**
   * An order that the broker showed, on whichever channel. Positive evidence wins even over an
   * earlier negative answer (docs/order-protocol.md R6).
   */
  note(order: BrokerOrder, channel: 'list' | 'stream'): void {
    const clientOrderId = order['client_order_id'];
    if (typeof clientOrderId !== 'string') return;
    const live = this.known.get(clientOrderId);
    if (live !== undefined) {
      live.noteOrder(order, channel);
      return;
    }
    const unwanted = noteLateOrder(this.journal, this.shared.ports, order);
    if (unwanted !== undefined) this.shared.cancelKnown(this, unwanted.live, unwanted.brokerOrderId);
  }

  /** Finishes what callers wait for, within the deadline, and lets go. Open intents stay in the journal for the next owner. */
  async release(deadlineMs: number): Promise<void> {
    this.closeFor('The account is moving to another owner.');
    const waiting = this.known.all().filter(({ callerGone }) => !callerGone);
    const limit = new AbortController();
    const work = Promise.all(waiting.map(({ settled }) => settled)).then(() => this.events.drained());
    await Promise.race([work, this.shared.ports.clock.sleep(deadlineMs, limit.signal)]);
    limit.abort();
    this.#unsubscribe();
    this.events.stop();
    this.#stopped.abort();
    for (const live of this.known.all()) live.wake();
  }

  /** What the account's orders hold now; `replacedId` is the order that a replacement takes the place of. */
  exposure(replacedId?: string): Exposure {
    return new Exposure(
      {
        mirror: this.session.mirror,
        live: this.known.all(),
        answered: this.#answered,
        instrumentOf: (name) => this.shared.instruments.known(name),
      },
      replacedId,
    );
  }

  /** At this moment. Undefined of an order that cannot be judged: an instrument of it is not known. */
  #judge(
    candidate: Candidate | undefined,
    fetched: ReadonlyMap<string, Mark>,
    original: BrokerOrder | undefined,
  ): { readonly facts: AdmissionFacts; readonly refusal: Refusal | undefined } {
    const facts = this.#admissionFacts(fetched, original);
    return { facts, refusal: candidate === undefined ? undefined : admit(candidate, facts) };
  }

  /** Every instrument of the order is known, or the order is not sent: no rule is skipped for want of a name. */
  async #viewOf(
    body: BrokerOrder,
  ): Promise<
    { readonly kind: 'view'; readonly view: OrderView } | { readonly kind: 'refused'; readonly answer: AccountAnswer }
  > {
    const { instruments } = this.shared;
    for (const name of namesIn(body)) {
      if (instruments.known(name) !== undefined) continue;
      const resolved = await instruments.resolve(name, this.session);
      if (resolved.kind === 'unknown') return { kind: 'refused', answer: unknownInstrument(name) };
      if (resolved.kind === 'unavailable') {
        const detail = 'The broker could not say which instrument the order names.';
        return { kind: 'refused', answer: notSent('instrument', detail) };
      }
    }
    const view = viewOrder(body, (name) => instruments.known(name));
    return view === undefined ? { kind: 'refused', answer: unknownInstrument('') } : { kind: 'view', view };
  }

  #admissionFacts(fetched: ReadonlyMap<string, Mark>, original: BrokerOrder | undefined): AdmissionFacts {
    const { ports, options } = this.shared;
    const replacedId = original?.['id'];
    return {
      session: this.session,
      ports,
      breaker: this.#breaker,
      recent: this.#recent,
      risk: options().risk,
      tradingState: this.tradingState(),
      exposure: this.exposure(typeof replacedId === 'string' ? replacedId : undefined),
      fetched,
      openIntents: this.known.size,
      closedBecause: this.#closedBecause ?? this.shared.refusedOrders(),
    };
  }

  /** Once an instrument. False when none is missing or to be had. */
  async #fetchQuote({ lacksQuoteOf }: Refusal, fetched: Map<string, Mark>): Promise<boolean> {
    const { marks } = this.shared.ports;
    if (lacksQuoteOf === undefined || fetched.has(lacksQuoteOf.key)) return false;
    const { key, symbol, assetClass } = lacksQuoteOf;
    const mark = await marks.fetch?.(symbol, assetClass);
    if (mark !== undefined) fetched.set(key, mark);
    return mark !== undefined;
  }

  #identify(plan: IntentPlan, { subject }: CallContext): ReturnType<typeof identify> {
    const { ports, options } = this.shared;
    const who = { namespace: namespaceIn(options().orders), accountId: this.session.accountId, subject };
    return identify(plan, who, { wallMs: ports.clock.now(), entropy: ports.entropy });
  }

  #formerId(plan: IntentPlan, identity: IntentIdentity): Promise<FormerId> {
    const { ports, options } = this.shared;
    const { orders, marksEpoch = false, attemptDeadlineMs: deadlineMs } = options();
    const facts = { orders, isShared: marksEpoch, now: ports.clock.now(), deadlineMs };
    return formerIdOf(plan, identity, { session: this.session, ...facts });
  }

  #drive(
    live: LiveIntent,
    traceparent: string | undefined,
    reduces: boolean,
    run: (driver: IntentDriver) => Promise<void>,
  ): Promise<void> {
    const { ports, options, cancelKnown } = this.shared;
    const context: DriverContext = {
      ports,
      options,
      session: this.session,
      journal: this.journal,
      stopped: this.stopped,
      maySend: () => this.#maySend(reduces),
      sweep: (since) => this.sweep(since),
      heard: (reply) => this.#breaker.hear(reply),
      acknowledged: (order) => this.#noteAnswer(order),
      cancelKnown: (known, brokerOrderId) => cancelKnown(this, known, brokerOrderId),
      traceparent,
    };
    return run(new IntentDriver(live, context)).then(
      () => {
        if (!this.stopped.aborted) this.known.remove(live);
      },
      (cause: unknown) => {
        const { accountId } = this.session;
        ports.log.error({ accountId, clientOrderId: live.clientOrderId, cause }, 'intent driver failed');
        this.closeFor('An order of this account could not be followed to its end.');
      },
    );
  }

  #maySend(reduces: boolean): boolean {
    const { ports } = this.shared;
    const state = this.tradingState();
    const allowed = state === 'ACTIVE' || (state === 'REDUCING' && reduces);
    return allowed && !this.stopped.aborted && ports.fence.holds(this.session.accountId);
  }

  async #awaitAnswer(live: LiveIntent, context: CallContext): Promise<AccountAnswer> {
    const { ports, options } = this.shared;
    const waitMs = Math.max(0, Math.min(options().orders.answerDeadlineMs, context.budgetMs - ANSWER_MARGIN_MS));
    const answered = new AbortController();
    const outcome = await Promise.race([
      live.settled,
      ports.clock.sleep(waitMs, answered.signal).then(() => undefined),
    ]);
    answered.abort();
    live.callerGone = true;
    if (outcome === undefined) {
      ports.meter.count('opitios_orders_answered_unknown_total');
      return unknownAnswer(this.session.accountId, live.clientOrderId);
    }
    ports.crash.reach('K6');
    return answerOf(outcome, false);
  }

  async #auditDenial(plan: IntentPlan, context: CallContext, denial: unknown): Promise<void> {
    const { ports } = this.shared;
    const { accountId } = this.session;
    const { subject, requestId } = context;
    const facts = { kind: plan.kind, body: plan.body, denial };
    await ports.audit.append({ kind: 'denial', accountId, subject, requestId, facts }).catch((cause: unknown) => {
      ports.log.error({ accountId, cause }, 'denial not audited');
    });
  }

  /** An order as a read showed it, before its event: the mirror knows it, and what it filled still counts. */
  learned(order: BrokerOrder): void {
    this.session.noteOrder(order);
    this.#noteAnswer(order);
  }

  /** An answer may show a fill before its event does. */
  #noteAnswer(order: BrokerOrder): void {
    this.#answered.answered(order);
    const isFilled = compareDecimals(readDecimal(order['filled_qty']) ?? ZERO, ZERO) > 0;
    const key = this.#keyOf(order['symbol']);
    if (isFilled && key !== undefined) this.closings.filled(key, undefined);
  }

  #noteFill({ event, order, data }: TradeUpdate): void {
    const key = this.#keyOf(order['symbol']);
    if (event !== 'fill' && event !== 'partial_fill') {
      // An end may be the first to show a fill whose own event was lost.
      const isFilled = compareDecimals(readDecimal(order['filled_qty']) ?? ZERO, ZERO) > 0;
      if (isFilled && key !== undefined) this.closings.filled(key, undefined);
      return;
    }
    const said = key === undefined ? undefined : readJson(new TextEncoder().encode(data));
    if (key !== undefined) this.closings.filled(key, isRecord(said) ? said : undefined);
  }

  #keyOf(symbol: unknown): string | undefined {
    return typeof symbol === 'string' ? this.shared.instruments.known(symbol)?.key : undefined;
  }

  #hear(update: TradeUpdate): void {
    // An end may overtake the fills that it shows: until their events come they count as those of an answer.
    if (update.event === 'fill' || update.event === 'partial_fill') this.#answered.event(update.order);
    else this.#answered.answered(update.order);
    this.#noteFill(update);
    this.events.record(update);
    this.note(update.order, 'stream');
  }
}

/** A refusal of a dry run shows what each rule saw. */
function withView(answer: AccountAnswer, view: Readonly<Record<string, unknown>>): AccountAnswer {
  if (answer.kind !== 'problem') return answer;
  const { problem } = answer;
  return { kind: 'problem', problem: { ...problem, members: { ...problem.members, ...view } } };
}

/** What an order would be once its changes are made: quantity and value exclude each other, and what is filled is done. */
function mergedBody(changes: BrokerOrder, original: BrokerOrder | undefined): BrokerOrder {
  if (original === undefined) return changes;
  const merged: Record<string, unknown> = { ...original, ...changes };
  if (changes['qty'] !== undefined && changes['qty'] !== null) merged['notional'] = undefined;
  if (changes['notional'] !== undefined && changes['notional'] !== null) merged['qty'] = undefined;
  const trail = changes['trail'];
  if (trail !== undefined)
    merged[readDecimal(original['trail_percent']) === undefined ? 'trail_price' : 'trail_percent'] = trail;
  const [qty, filled] = [readDecimal(merged['qty']), readDecimal(original['filled_qty'])];
  if (qty !== undefined && filled !== undefined) merged['qty'] = printDecimal(subtractDecimals(qty, filled));
  return merged;
}

function unknownInstrument(name: string): AccountAnswer {
  const detail = `The broker knows no instrument ${name.slice(0, 40)}`.trimEnd();
  return problemAnswer('validation-failed', detail, { errors: [{ field: 'symbol', in: 'body', detail }] });
}
