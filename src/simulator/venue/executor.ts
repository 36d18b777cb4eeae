/**
 * Turns a decision to fill, cancel, expire or reject into facts: positions and cash, the order's status, the group it
 * belongs to, and the events that tell of it. Every change of an order's status in the venue happens here.
 */
import type { SimClock } from '../clock.js';
import type { Account, Execution } from './account.js';
import { magnitude, parseNano, textOf, type Nano } from './decimal.js';
import type { Timestamps } from './instant.js';
import { legPrice } from './matching.js';
import { isTerminal, type Order, type OrderStatus } from './order.js';
import type { OrderBook } from './order-book.js';
import type { SeededRandom } from './seeded-random.js';
import type { Tape } from './tape.js';
import { tradeEvent, type EventStamp, type TradeEvent } from './trade-event.js';

export interface ExecutorParts {
  readonly book: OrderBook;
  readonly tape: Tape;
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly timestamps: Timestamps;
}

/** Statuses whose time of entry has a field of its own. */
const MOMENT: Partial<Record<OrderStatus, 'canceledAt' | 'expiredAt' | 'failedAt' | 'replacedAt'>> = {
  canceled: 'canceledAt',
  expired: 'expiredAt',
  rejected: 'failedAt',
  replaced: 'replacedAt',
};

export class Executor {
  readonly #parts: ExecutorParts;
  readonly #listeners = new Set<(event: TradeEvent) => void>();

  constructor(parts: ExecutorParts) {
    this.#parts = parts;
  }

  onEvent(listen: (event: TradeEvent) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  /** Enters a status and tells of it. The event's name is the status unless given. */
  enter(order: Order, status: OrderStatus, event: string = status): void {
    const stamp = this.#stamp();
    order.status = status;
    order.updatedAt = stamp.at;
    const field = MOMENT[status];
    if (field !== undefined) order[field] = stamp.at;
    this.#parts.book.settle(order);
    if (order.terms.orderClass === 'mleg' && order.parent === undefined) this.#followParent(order, stamp.at);
    this.tell(event, order, undefined, stamp);
  }

  /** Ends an order without a fill, and with it the group that depends on it. */
  end(order: Order, status: 'canceled' | 'expired' | 'rejected'): void {
    if (isTerminal(order)) return;
    this.enter(order, status);
    for (const other of this.#dependents(order)) {
      if (!isTerminal(other)) this.enter(other, 'canceled');
    }
  }

  /** Executes `qty` at `price`. More than is left is refused by clipping: the venue never overfills. */
  fill(order: Order, qty: Nano, price: Nano): void {
    if (isTerminal(order) || qty <= 0n) return;
    if (order.terms.orderClass === 'mleg' && order.parent === undefined) {
      this.#fillLegs(order, qty, price);
      return;
    }
    const size = order.qtyNano === null ? qty : least(qty, order.qtyNano - order.filledQty);
    if (size <= 0n) return;
    const execution = this.#execute(order, size, price);
    const event = order.status === 'filled' ? 'fill' : 'partial_fill';
    const account = this.#account(order);
    const positionQty = account.positions.get(order.terms.symbol)?.qty ?? 0n;
    this.tell(event, order, {
      execution_id: execution.id,
      price: execution.price,
      qty: execution.qty,
      position_qty: textOf(positionQty),
    });
    this.#afterFill(order);
  }

  tell(event: string, order: Order, extra?: Record<string, unknown>, stamp: EventStamp = this.#stamp()): void {
    const message = tradeEvent(event, order, stamp, extra);
    for (const listen of this.#listeners) listen(message);
  }

  #execute(order: Order, size: Nano, price: Nano): Execution {
    const { book, random, timestamps, clock } = this.#parts;
    const account = this.#account(order);
    const { terms } = order;
    order.filledQty += size;
    order.filledValue += (size * price) / 1_000_000_000n;
    const isDone = order.qtyNano === null || order.filledQty >= order.qtyNano;
    const at = timestamps.next();
    order.status = isDone ? 'filled' : 'partially_filled';
    order.updatedAt = at;
    if (isDone) order.filledAt = at;
    const instrument = this.#parts.tape.instrument(terms.symbol);
    account.book(
      {
        symbol: terms.symbol,
        assetId: terms.assetId,
        assetClass: terms.assetClass,
        exchange: instrument?.exchange ?? '',
        multiplier: terms.multiplier,
        marginable: instrument?.isMarginable ?? false,
      },
      terms.side === 'buy' ? size : -size,
      price,
    );
    const id = random.uuid();
    const execution: Execution = {
      id,
      // Nothing at the broker says that this is the execution's id.
      activityId: `${new Date(clock.now()).toISOString().replace(/\D/g, '')}::${random.uuid()}`,
      accountId: order.accountId,
      orderId: order.id,
      clientOrderId: order.clientOrderId,
      symbol: terms.symbol,
      side: terms.side,
      qty: textOf(size),
      price: textOf(price),
      cumQty: textOf(order.filledQty),
      leavesQty: order.qtyNano === null ? '0' : textOf(order.qtyNano - order.filledQty),
      type: isDone ? 'fill' : 'partial_fill',
      at,
    };
    account.executions.push(execution);
    book.executions.push(execution);
    book.settle(order);
    return execution;
  }

  /** A multi-leg order fills whole: each leg trades, then one event tells of all (no execution id of its own). */
  #fillLegs(order: Order, units: Nano, net: Nano): void {
    const size = order.qtyNano === null ? units : least(units, order.qtyNano - order.filledQty);
    if (size <= 0n) return;
    const account = this.#account(order);
    const positionQtys: Record<string, string> = {};
    const legs = order.legs.map((leg) => {
      const price = legPrice(leg, this.#parts.tape) ?? magnitude(net);
      const execution = this.#execute(leg, size * BigInt(leg.terms.ratioQty ?? '1'), price);
      positionQtys[leg.terms.symbol] = textOf(account.positions.get(leg.terms.symbol)?.qty ?? 0n);
      return {
        execution_id: execution.id,
        qty: execution.qty,
        price: execution.price,
        order_id: leg.id,
        symbol: leg.terms.symbol,
        timestamp: execution.at,
      };
    });
    order.filledQty += size;
    order.filledValue += (size * net) / 1_000_000_000n;
    const isDone = order.qtyNano === null || order.filledQty >= order.qtyNano;
    order.status = isDone ? 'filled' : 'partially_filled';
    order.updatedAt = this.#parts.timestamps.next();
    if (isDone) order.filledAt = order.updatedAt;
    this.#parts.book.settle(order);
    this.tell(isDone ? 'fill' : 'partial_fill', order, {
      price: textOf(net),
      qty: textOf(size),
      position_qtys: positionQtys,
      legs,
    });
  }

  /** Entry filled: the exits go live. An exit filled: its twin goes, or shrinks when the fill was partial. */
  #afterFill(order: Order): void {
    const isEntry = order.parent === undefined && order.terms.orderClass !== 'oco';
    if (isEntry && order.status === 'filled') {
      for (const leg of order.legs) if (leg.status === 'held') this.enter(leg, 'new');
      return;
    }
    for (const twin of this.#twins(order)) {
      if (isTerminal(twin)) continue;
      if (order.status === 'filled') this.enter(twin, 'canceled');
      else if (order.qtyNano !== null) resize(twin, order.qtyNano - order.filledQty);
    }
  }

  /** Orders that cannot outlive this one: the whole group, whichever member ended. */
  #dependents(order: Order): readonly Order[] {
    if (order.terms.orderClass === 'mleg') return [];
    if (order.parent === undefined) return order.legs;
    return this.#twins(order);
  }

  #twins(order: Order): readonly Order[] {
    const { parent } = order;
    if (parent === undefined) return order.terms.orderClass === 'oco' ? order.legs : [];
    const others = parent.legs.filter((leg) => leg !== order);
    return parent.terms.orderClass === 'oco' ? [parent, ...others] : others;
  }

  #followParent(parent: Order, at: string): void {
    for (const leg of parent.legs) {
      leg.status = parent.status;
      leg.updatedAt = at;
      const field = MOMENT[parent.status];
      if (field !== undefined) leg[field] = at;
      this.#parts.book.settle(leg);
    }
  }

  #account(order: Order): Account {
    const account = this.#parts.book.account(order.accountId);
    if (account === undefined) throw new TypeError(`order ${order.id} belongs to no account`);
    return account;
  }

  #stamp(): EventStamp {
    return { at: this.#parts.timestamps.next(), eventId: this.#parts.random.ulid(this.#parts.clock.now()) };
  }
}

function resize(order: Order, qty: Nano): void {
  if (qty <= 0n || parseNano(order.terms.qty ?? '') === qty) return;
  order.terms = { ...order.terms, qty: textOf(qty) };
  order.qtyNano = qty;
}

function least(a: Nano, b: Nano): Nano {
  return a < b ? a : b;
}
