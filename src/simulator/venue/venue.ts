/**
 * The broker itself: takes orders through the three gates, acknowledges, matches, cancels and replaces them. It knows
 * neither HTTP nor sockets nor faults; those stand in front of it.
 *
 * An order is born `pending_new` (closed market: `accepted`), becomes `new` after `acknowledgeMs`, and from then on
 * every tick of its symbol may fill it. Children of a group wait as `held`.
 */
import type { SimClock } from '../clock.js';
import { accountRefusal } from './account-rules.js';
import { Account } from './account.js';
import { findInstruments } from './asset-rules.js';
import { NORMAL_BEHAVIOUR, type Behaviour } from './behaviour.js';
import { divide, ONE, parseNano, type Nano } from './decimal.js';
import { Executor } from './executor.js';
import { Timestamps } from './instant.js';
import { fillPrice } from './matching.js';
import { isTerminal, type Order } from './order.js';
import { OrderBook } from './order-book.js';
import { parseDraft, type OrderDraft } from './order-draft.js';
import { OrderFactory } from './order-factory.js';
import { isRefusal, malformed, unprocessable, type Refusal } from './refusal.js';
import { changedTerms } from './replace-rules.js';
import type { SeededRandom } from './seeded-random.js';
import type { Tape } from './tape.js';

export interface VenueParts {
  readonly tape: Tape;
  readonly clock: SimClock;
  readonly random: SeededRandom;
}

export class Venue {
  readonly book = new OrderBook();
  readonly behaviour: Behaviour = { ...NORMAL_BEHAVIOUR };
  readonly executor: Executor;
  readonly timestamps: Timestamps;
  readonly tape: Tape;
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly #factory: OrderFactory;
  readonly #stopListening: () => void;

  constructor({ tape, clock, random }: VenueParts) {
    this.tape = tape;
    this.clock = clock;
    this.random = random;
    this.timestamps = new Timestamps(clock);
    const parts = { book: this.book, tape, clock, random, timestamps: this.timestamps };
    this.executor = new Executor(parts);
    this.#factory = new OrderFactory(parts);
    this.#stopListening = tape.onTick((symbols) => {
      for (const symbol of symbols) this.matchSymbol(symbol);
    });
  }

  addAccount(accountId: string, startingCash: Nano): Account {
    const account = new Account(accountId, this.random.uuid(), this.timestamps.next(), startingCash);
    this.book.accounts.set(accountId, account);
    return account;
  }

  /** `visibleAfterMs` delays when lists and lookups show the order, not when it trades. */
  submit(account: Account, body: unknown, visibleAfterMs = 0): Order | Refusal {
    const draft = parseDraft(body);
    if (isRefusal(draft)) return draft;
    if (draft.clientOrderId !== undefined && account.ordersByClientId.has(draft.clientOrderId)) {
      return malformed('client_order_id must be unique');
    }
    const now = this.clock.now();
    const today = new Date(now).toISOString().slice(0, 10);
    const instruments = findInstruments(draft, { tape: this.tape, isOpen: this.behaviour.isOpen, today });
    if (isRefusal(instruments)) return instruments;
    const refused = accountRefusal(account, draft, instruments, this.tape);
    if (refused !== undefined) return refused;
    const order = this.#factory.create(account, draft, instruments, {
      clientOrderId: draft.clientOrderId ?? this.random.uuid(),
      status: this.#birthStatus(draft),
      nowMs: now,
      visibleAt: now + visibleAfterMs,
      reserve: this.#factory.reserveFor(account, draft, draft.orderClass === 'mleg' ? undefined : instruments[0]),
    });
    this.executor.tell(order.status, order);
    this.#acknowledgeSoon(order);
    return order;
  }

  /** Answers the refusal, or undefined: asked for, the end state arrives as an event. */
  cancel(order: Order): Refusal | undefined {
    if (isTerminal(order)) return unprocessable(`order is already in "${order.status}" state`);
    if (order.status === 'pending_replace') return unprocessable('order pending replace cannot be canceled');
    if (order.status === 'pending_cancel') return undefined;
    order.cancelRequestedAt = this.timestamps.next();
    this.executor.enter(order, 'pending_cancel');
    this.#later(this.behaviour.cancelMs, () => {
      if (order.status === 'pending_cancel') this.executor.end(order, 'canceled');
    });
    return undefined;
  }

  /** The new order; the old one becomes `replaced` later, or fills first and the new one is rejected. */
  replace(account: Account, order: Order, body: unknown): Order | Refusal {
    const terms = changedTerms(order, body);
    if (isRefusal(terms)) return terms;
    const clientOrderId = terms.clientOrderId ?? this.random.uuid();
    if (account.ordersByClientId.has(clientOrderId)) return malformed('client_order_id must be unique');
    const before = order.status;
    this.executor.enter(order, 'pending_replace');
    const now = this.clock.now();
    const next = this.#factory.make(account, terms.terms, {
      clientOrderId,
      status: 'pending_new',
      nowMs: now,
      visibleAt: now,
      reserve: order.reserve,
      replaces: order,
      ...(order.parent === undefined ? {} : { parent: order.parent }),
    });
    next.legs = order.legs;
    this.book.add(next);
    this.#later(this.behaviour.cancelMs, () => this.#finishReplace(order, next, before === 'held'));
    return next;
  }

  /** Fills, as far as market and behaviour allow, every working order of one symbol. */
  matchSymbol(symbol: string): void {
    if (this.behaviour.fills === 'manual' || !this.behaviour.isOpen) return;
    for (const order of this.book.working(symbol)) if (this.#canTrade(order)) this.match(order);
  }

  /** One attempt to fill one order now. */
  match(order: Order): void {
    if (isTerminal(order) || this.behaviour.fills === 'manual' || !this.behaviour.isOpen) return;
    const price = fillPrice(order, this.tape);
    if (price !== undefined) this.executor.fill(order, this.#fillSize(order, price), price);
    if (isTerminal(order)) return;
    if (order.terms.timeInForce === 'ioc' || order.terms.timeInForce === 'fok') this.executor.end(order, 'canceled');
    else if (order.status === 'partially_filled' && price !== undefined) {
      this.#later(this.behaviour.fillDelayMs, () => this.match(order));
    }
  }

  /** Opens or closes the session. Opening acknowledges what waited; closing expires day orders. */
  setOpen(isOpen: boolean): void {
    this.behaviour.isOpen = isOpen;
    for (const order of [...this.book.orders()]) {
      if (isTerminal(order)) continue;
      if (isOpen && order.status === 'accepted') this.#acknowledgeSoon(order);
      if (!isOpen && order.parent === undefined && order.terms.timeInForce === 'day')
        this.executor.end(order, 'expired');
    }
  }

  close(): void {
    this.#stopListening();
  }

  #birthStatus(draft: OrderDraft): 'accepted' | 'pending_new' {
    return this.#waitsForSession(draft.timeInForce, draft.extendedHours) ? 'accepted' : 'pending_new';
  }

  /** Auction orders wait for `control.auction`; everything else only for the open. */
  #waitsForSession(timeInForce: string, extendedHours: boolean): boolean {
    if (timeInForce === 'opg' || timeInForce === 'cls') return true;
    return !this.behaviour.isOpen && !extendedHours;
  }

  #acknowledgeSoon(order: Order): void {
    if (this.behaviour.fills === 'instant') this.#acknowledge(order);
    else this.#later(this.behaviour.acknowledgeMs, () => this.#acknowledge(order));
  }

  #acknowledge(order: Order): void {
    if (order.status !== 'pending_new' && order.status !== 'accepted') return;
    if (this.#waitsForSession(order.terms.timeInForce, order.terms.extendedHours)) return;
    this.executor.enter(order, 'new');
    if (order.terms.orderClass === 'oco') for (const leg of order.legs) leg.status = 'held';
    if (this.behaviour.fills === 'instant') this.match(order);
    else this.#later(this.behaviour.fillDelayMs, () => this.match(order));
  }

  #finishReplace(order: Order, next: Order, wasHeld: boolean): void {
    if (isTerminal(order) || order.status !== 'pending_replace') {
      this.executor.tell('order_replace_rejected', order);
      this.executor.enter(next, 'rejected');
      return;
    }
    order.replacedBy = next.id;
    if (order.parent !== undefined) order.parent.legs = order.parent.legs.map((leg) => (leg === order ? next : leg));
    // Executions while the replacement was on its way count against it.
    next.filledQty = order.filledQty;
    next.filledValue = order.filledValue;
    this.executor.enter(order, 'replaced');
    this.executor.enter(next, wasHeld ? 'held' : 'new');
    if (!wasHeld) this.#later(this.behaviour.fillDelayMs, () => this.match(next));
  }

  /** The stop of an oco works beside its parent although it shows as `held`; other held children wait. */
  #canTrade(order: Order): boolean {
    if (order.status === 'held') return order.parent?.terms.orderClass === 'oco' && order.parent.status === 'new';
    return order.status === 'new' || order.status === 'partially_filled' || order.status === 'pending_cancel';
  }

  /** All that is left, or a random whole part of it. Notional orders turn dollars into shares here. */
  #fillSize(order: Order, price: Nano): Nano {
    if (order.qtyNano === null) return divide(parseNano(order.terms.notional ?? '0') ?? 0n, price);
    const left = order.qtyNano - order.filledQty;
    const whole = left / ONE;
    const isWhole = order.terms.timeInForce === 'fok' || order.terms.orderClass === 'mleg';
    if (isWhole || whole < 2n || !this.random.chance(this.behaviour.partialFillProbability)) return left;
    return BigInt(1 + Math.floor(this.random.next() * (Number(whole) - 1))) * ONE;
  }

  #later(ms: number, run: () => void): void {
    if (this.behaviour.fills === 'instant' && ms < 50) run();
    else this.clock.after(ms, run);
  }
}
