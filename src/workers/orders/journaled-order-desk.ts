/** The order desk of a worker: one account desk an account, and what they share. */
import type {
  AccountAnswer,
  CallContext,
  SharedTradingState,
  TradingState,
} from '../../kernel/domain/account-request.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import { GatewayError } from '../../kernel/domain/errors.js';
import type { EventPosition, OrderEvent, ResumedEvents } from '../../kernel/domain/order-event.js';
import type { AccountJournal } from '../../kernel/journal/account-journal.js';
import type { AccountSession } from '../accounts/account-session.js';
import { AccountDesk, type DeskShared } from './account-desk.js';
import { answerOf, jsonAnswer, notSent, problemAnswer, unavailable, unknownAnswer } from './answers.js';
import { readAudit } from './audit-desk.js';
import { cancelAll, cancelOne, cancelWhenKnown } from './cancel-desk.js';
import { closeAllPositions, closePosition } from './close-desk.js';
import { InstrumentBook } from './instruments/instrument-book.js';
import { planFingerprint } from './intent-plan.js';
import { HeardMeanwhile } from './heard-meanwhile.js';
import type { LiveIntent } from './live-intent.js';
import type { DeskRequest, OrderDesk } from './order-desk.js';
import { bodyOf, isPlacing, namesItsOrder, ownOrderId, scopeOf, submitRoute } from './order-id.js';
import { SweepGate } from './order-sweep.js';
import type { DeskOptions, DeskPorts, DeskSettings } from './ports.js';
import { replaceOrder } from './replace-desk.js';
import { adoptFor, judgeTenancy, type TenancyVerdict } from './tenancy.js';

const SWEEPS_AT_ONCE = 50;
const PRUNE_EVERY_MS = 6 * 3_600_000;
/** The broker's lookup may lag behind its own answer: this long ours stands in for it. */
const ANSWER_STANDS_IN_MS = 15_000;

const ADOPT_RETRY_MS = 5_000;

/** Why an account whose keys were exchanged waits. */
export const NOT_NAMED = 'The keys of the account are new, and the broker has not named their account yet.';

/** An account whose journal has not been taken over yet, and why not. */
class Adoption {
  refusal: string | undefined;

  constructor(readonly session: AccountSession) {}
}

export class JournaledOrderDesk implements OrderDesk {
  readonly #desks = new Map<AccountId, AccountDesk>();
  /** Accounts that are here and may not trade yet. */
  readonly #adoptions = new Map<AccountId, Adoption>();
  readonly #listeners = new Set<(event: OrderEvent) => void>();
  readonly #shared: DeskShared;
  #options: DeskOptions;
  #stateOfAll: TradingState;
  #refusedOrders: string | undefined;
  readonly #stopPruning: () => void;

  constructor(
    private readonly ports: DeskPorts,
    options: DeskOptions,
  ) {
    this.#options = options;
    this.#stateOfAll = ports.journal.tradingState()?.state ?? 'ACTIVE';
    this.#shared = {
      ports,
      options: () => this.#options,
      tradingStateOfAll: () => this.#stateOfAll,
      refusedOrders: () => this.#refusedOrders,
      sweeps: new SweepGate(SWEEPS_AT_ONCE),
      instruments: new InstrumentBook(),
      tell: (event) => {
        for (const listen of this.#listeners) listen(event);
      },
      cancelKnown: (desk, live, brokerOrderId) => {
        cancelWhenKnown(desk, live, brokerOrderId).catch((cause: unknown) => {
          ports.log.error({ clientOrderId: live.clientOrderId, cause }, 'queued cancel failed');
        });
      },
    };
    this.#stopPruning = this.#pruneEvery();
  }

  async adopt(session: AccountSession, shared?: SharedTradingState): Promise<void> {
    await this.#tryAdopt(session, new HeardMeanwhile(session), shared);
  }

  /** Whether what the journal has of the account is of the brokerage account that the session reaches. */
  tenancyOf(session: AccountSession): TenancyVerdict {
    return judgeTenancy(this.ports.journal.tenancy(session.accountId), session);
  }

  /** No order is placed for this reason, until it is called with none; what is under way goes on. */
  refuseOrders(reason: string | undefined): void {
    this.#refusedOrders = reason;
  }

  /** Whether the account may trade here now. */
  has(accountId: AccountId): boolean {
    return this.#desks.has(accountId);
  }

  /** The account is here, and its orders are refused with this reason until it is adopted. */
  refuse(session: AccountSession, reason: string): void {
    const adoption = new Adoption(session);
    adoption.refusal = reason;
    this.#adoptions.set(session.accountId, adoption);
  }

  async release(accountId: AccountId, options: { readonly deadlineMs: number }): Promise<void> {
    const desk = this.#desks.get(accountId);
    this.#adoptions.delete(accountId);
    if (desk === undefined) return;
    await desk.release(options.deadlineMs);
    if (this.#desks.get(accountId) === desk) this.#desks.delete(accountId);
  }

  async execute(request: DeskRequest, context: CallContext): Promise<AccountAnswer> {
    const desk = this.#desks.get(request.accountId);
    if (request.kind === 'read-audit') return this.#readAudit(request, context, desk);
    if (desk === undefined) {
      const detail = this.#adoptions.get(request.accountId)?.refusal ?? 'The account has no desk here now.';
      return this.#isFirst(request, context) ? notSent('account', detail) : unavailable(detail);
    }
    try {
      return await this.#dispatch(desk, request, context);
    } catch (cause) {
      const { accountId } = request;
      this.ports.log.error({ accountId, kind: request.kind, cause }, 'order request failed');
      if (!(cause instanceof GatewayError) || cause.code !== 'JOURNAL_BROKEN') throw cause;
      desk.closeFor(refusalOf(cause));
      return isFirst(request) ? notSent('account', refusalOf(cause)) : unavailable(refusalOf(cause));
    }
  }

  lookup(accountId: AccountId, clientOrderId: string): AccountAnswer | undefined {
    const desk = this.#desks.get(accountId);
    if (desk === undefined) return undefined;
    if (desk.known.get(clientOrderId) !== undefined) return unknownAnswer(accountId, clientOrderId);
    const intent = desk.journal.intent(clientOrderId);
    const outcome = desk.journal.outcome(clientOrderId);
    if (intent === undefined) return undefined;
    if (outcome === undefined || outcome.state === 'ABANDONED_UNCONFIRMED')
      return unknownAnswer(accountId, clientOrderId);
    if (outcome.state !== 'ACKED' && outcome.state !== 'ACKED_LATE') return answerOf(outcome, true);
    const isRecent = this.ports.clock.now() - outcome.at < ANSWER_STANDS_IN_MS;
    const isShown = desk.session.mirror.orderByClientOrderId(clientOrderId) !== undefined;
    if (isShown || !isRecent || outcome.answer.kind === 'problem') return undefined;
    return jsonAnswer(200, JSON.parse(outcome.answer.body) as unknown);
  }

  tradingState(accountId: AccountId): TradingState {
    return this.#desks.get(accountId)?.tradingState() ?? this.#stateOfAll;
  }

  openUnknown(accountId: AccountId): number {
    return this.#desks.get(accountId)?.known.openUnknown() ?? 0;
  }

  oldestUnknownMs(accountId: AccountId): number | undefined {
    return this.#desks.get(accountId)?.known.oldestUnknownMs();
  }

  onOrderEvent(listen: (event: OrderEvent) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  position(accountId: AccountId): EventPosition {
    return this.#desks.get(accountId)?.journal.position() ?? { epoch: 0, seq: 0 };
  }

  eventsAfter(accountId: AccountId, after: EventPosition): ResumedEvents {
    const desk = this.#desks.get(accountId);
    if (desk === undefined) return { events: [], gaps: [] };
    try {
      return desk.journal.eventsAfter(after);
    } catch (cause) {
      // Adoption looked at their places alone.
      desk.closeFor(refusalOf(cause));
      throw cause;
    }
  }

  /** Kept on disk and in force at once; orders whose first byte has not left are stopped. */
  async setTradingStateForAll(state: TradingState, reason: string, subject: string): Promise<void> {
    this.#stateOfAll = state;
    await this.ports.audit.append({ kind: 'halt', subject, facts: { state, reason, accounts: '*' } });
    await this.ports.journal.setTradingState({ state, reason, subject, at: this.ports.clock.now() });
  }

  /** In force for the next order; those under way go on as they began. */
  reload(settings: DeskSettings): void {
    this.#options = { ...this.#options, ...settings };
  }

  async close(options: { readonly deadlineMs: number }): Promise<void> {
    this.#stopPruning();
    await Promise.all([...this.#desks.keys()].map((accountId) => this.release(accountId, options)));
  }

  /** A journal that does not answer, or is damaged, keeps the account from trading until it can be read and written. */
  async #tryAdopt(session: AccountSession, heard: HeardMeanwhile, shared?: SharedTradingState): Promise<void> {
    const { accountId, epoch } = session;
    const reason = new Adoption(session);
    this.#adoptions.set(accountId, reason);
    try {
      if (this.tenancyOf(session) === 'unproven') throw notNamed(accountId);
      const { journal: slot, audit, clock } = this.ports;
      const journal = await adoptFor(session, { journal: slot, audit, now: () => clock.now() });
      await this.#agree(accountId, journal, shared);
      const desk = new AccountDesk(session, journal, this.#shared);
      const open = desk.scan();
      await desk.settleUnsent(open);
      if (this.#adoptions.get(accountId) !== reason) {
        heard.stop();
        return;
      }
      this.#adoptions.delete(accountId);
      this.#desks.set(accountId, desk);
      desk.open(heard.stop());
      this.#recover(desk, open);
    } catch (cause) {
      reason.refusal = refusalOf(cause);
      this.ports.meter.count('opitios_orders_accounts_refused_total');
      this.ports.log.error({ accountId, epoch, cause }, 'account may not trade');
      this.ports.clock.after(ADOPT_RETRY_MS, () => {
        if (this.#adoptions.get(accountId) === reason) void this.#tryAdopt(session, heard, shared);
        else heard.stop();
      });
    }
  }

  /** A trading state outlives the instance where it was set: the newer of this disk's and the shared one is in force. */
  async #agree(accountId: AccountId, journal: AccountJournal, shared: SharedTradingState | undefined): Promise<void> {
    const own = journal.tradingState();
    if (own !== undefined && own.at > (shared?.at ?? 0)) void this.ports.tellTradingState?.(accountId, own);
    if (shared === undefined || shared.at <= (own?.at ?? 0)) return;
    await journal.setTradingState(shared);
    const { state, reason, subject, at } = shared;
    await this.ports.audit.append({
      kind: 'halt',
      accountId,
      subject,
      requestId: `shared-${at}`,
      facts: { state, reason },
    });
  }

  #dispatch(
    desk: AccountDesk,
    request: Exclude<DeskRequest, { readonly kind: 'read-audit' }>,
    context: CallContext,
  ): Promise<AccountAnswer> {
    switch (request.kind) {
      case 'submit-order':
        return submitOrder(desk, request, context);
      case 'replace-order':
        return replaceOrder(desk, request, context);
      case 'cancel-order':
        return cancelOne(desk, request, context);
      case 'cancel-all-orders':
        return cancelAll(desk, request, context);
      case 'close-position':
        return closePosition(desk, request, context);
      case 'close-all-positions':
        return closeAllPositions(desk, request, context);
      case 'set-trading-state':
        return this.#setTradingState(desk, request, context);
    }
  }

  /** A halt that cannot be audited is in force all the same; one that cannot be kept is told. */
  async #setTradingState(
    desk: AccountDesk,
    request: Extract<DeskRequest, { readonly kind: 'set-trading-state' }>,
    { subject, requestId }: CallContext,
  ): Promise<AccountAnswer> {
    const { accountId, state, reason } = request;
    const at = request.at ?? this.ports.clock.now();
    await desk.journal.setTradingState({ state, reason, subject, at });
    const told =
      request.at === undefined
        ? await this.ports.tellTradingState?.(accountId, { state, reason, subject, at })
        : undefined;
    await this.ports.audit.append({ kind: 'halt', accountId, subject, requestId, facts: { state, reason } });
    return jsonAnswer(200, {
      account_id: accountId,
      trading_state: desk.tradingState(),
      reason,
      ...(told !== undefined && { instances_told: told }),
    });
  }

  async #readAudit(
    request: Extract<DeskRequest, { readonly kind: 'read-audit' }>,
    context: CallContext,
    desk: AccountDesk | undefined,
  ): Promise<AccountAnswer> {
    const { accountId } = request;
    const unproven = desk === undefined ? this.#adoptions.get(accountId)?.refusal : undefined;
    if (unproven === NOT_NAMED) return unavailable(NOT_NAMED);
    try {
      const since = (desk?.journal.tenancy() ?? this.ports.journal.tenancy(accountId))?.since ?? 0;
      return await readAudit(this.ports.audit, request, context, since);
    } catch (cause) {
      this.ports.log.error({ accountId: request.accountId, cause }, 'audit trail not readable');
      return problemAnswer('internal-error', 'The audit trail cannot be read now.');
    }
  }

  /** While it waits to be named, what the journal has of the account is readable: a key that is not there is new. */
  #isFirst(request: DeskRequest, { subject }: CallContext): boolean {
    if (isFirst(request)) return true;
    if (!isPlacing(request) || this.#adoptions.get(request.accountId)?.refusal !== NOT_NAMED) return false;
    const { journal } = this.ports;
    const scope = scopeOf(request, subject);
    const own = ownOrderId(bodyOf(request));
    return (
      request.sentBefore !== 'perhaps' &&
      (scope === undefined || !journal.knowsScope(request.accountId, scope)) &&
      (own === undefined || !journal.knowsOrder(request.accountId, own))
    );
  }

  /** The scan is done when this begins; what it finds is settled while new orders are taken already. */
  #recover(desk: AccountDesk, open: readonly LiveIntent[]): void {
    const { accountId } = desk.session;
    desk.recover(open).catch((cause: unknown) => {
      desk.closeFor(refusalOf(cause));
      this.ports.log.error({ accountId, cause }, 'recovery failed');
    });
  }

  #pruneEvery(): () => void {
    let cancel: () => void = () => undefined;
    const next = (): void => {
      cancel = this.ports.clock.after(PRUNE_EVERY_MS, () => {
        for (const desk of this.#desks.values()) this.#prune(desk);
        next();
      });
    };
    next();
    return () => {
      cancel();
    };
  }

  #prune(desk: AccountDesk): void {
    desk.journal.prune(this.ports.clock.now()).catch((cause: unknown) => {
      this.ports.log.error({ accountId: desk.session.accountId, cause }, 'journal not pruned');
    });
  }
}

function submitOrder(
  desk: AccountDesk,
  request: Extract<DeskRequest, { readonly kind: 'submit-order' }>,
  context: CallContext,
): Promise<AccountAnswer> {
  const route = submitRoute(request);
  return desk.place(
    {
      kind: 'submit',
      route,
      path: '/v2/orders',
      body: request.order,
      fingerprint: planFingerprint('submit', route, request.order),
      idempotencyKey: request.idempotencyKey,
      ...(request.sentBefore !== undefined && { sentBefore: request.sentBefore }),
      dryRun: request.dryRun,
    },
    context,
  );
}

/**
 * Without the journal nothing shows whether an earlier request with this key was sent, so `order-not-sent` is said only
 * where there was none: the caller named neither key nor id, and no other owner had it.
 */
function isFirst(request: DeskRequest): boolean {
  return isPlacing(request) && (request.sentBefore === 'never' || !namesItsOrder(request));
}

function notNamed(accountId: AccountId): GatewayError {
  return new GatewayError('REFUSED', { accountId }, { message: NOT_NAMED });
}

function refusalOf(cause: unknown): string {
  if (cause instanceof GatewayError && cause.code === 'JOURNAL_LOCKED')
    return 'A newer owner of the account has written.';
  if (cause instanceof GatewayError && cause.code === 'JOURNAL_BROKEN')
    return 'The journal of this account is damaged.';
  if (cause instanceof GatewayError && cause.message === NOT_NAMED) return NOT_NAMED;
  return 'The account could not be recovered.';
}
