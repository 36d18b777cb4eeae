/**
 * One brokerage account: its keys, its switches, its cash and its positions. Pure bookkeeping; the rules that read it
 * live in account-rules.ts.
 */
import { performance } from 'node:perf_hooks';
import { divide, magnitude, multiply, smaller, type Nano } from './decimal.js';
import type { Order } from './order.js';

export interface Position {
  readonly symbol: string;
  readonly assetId: string;
  readonly assetClass: string;
  readonly exchange: string;
  readonly multiplier: bigint;
  readonly marginable: boolean;
  /** Signed: negative is short. */
  qty: Nano;
  /** Average entry price per share. */
  averageEntry: Nano;
}

export interface AccountConfiguration {
  no_shorting: boolean;
  suspend_trade: boolean;
  fractional_trading: boolean;
  max_margin_multiplier: string;
  max_options_trading_level: number;
  trade_confirm_email: string;
  ptp_no_exception_entry: boolean;
  disable_overnight_trading: boolean;
}

export interface Execution {
  readonly id: string;
  readonly activityId: string;
  readonly accountId: string;
  readonly orderId: string;
  readonly clientOrderId: string;
  readonly symbol: string;
  readonly side: string;
  readonly qty: string;
  readonly price: string;
  readonly cumQty: string;
  readonly leavesQty: string;
  readonly type: 'fill' | 'partial_fill';
  readonly at: string;
}

/** Positions as they stood until a moment. */
interface PastPositions {
  readonly until: number;
  readonly positions: ReadonlyMap<string, Position>;
}

/** No lag is longer. */
const PAST_KEPT_MS = 60_000;

export class Account {
  readonly positions = new Map<string, Position>();
  #past: PastPositions[] = [];
  readonly ordersById = new Map<string, Order>();
  /** Ids are taken for ever, also by orders that are done. */
  readonly ordersByClientId = new Map<string, Order>();
  readonly open = new Set<Order>();
  readonly executions: Execution[] = [];
  status = 'ACTIVE';
  accountBlocked = false;
  tradingBlocked = false;
  optionsApprovedLevel = 3;
  cash: Nano;
  readonly configuration: AccountConfiguration = {
    no_shorting: false,
    suspend_trade: false,
    fractional_trading: true,
    max_margin_multiplier: '2',
    max_options_trading_level: 3,
    trade_confirm_email: 'all',
    ptp_no_exception_entry: false,
    disable_overnight_trading: false,
  };

  constructor(
    readonly accountId: string,
    readonly id: string,
    readonly createdAt: string,
    readonly startingCash: Nano,
  ) {
    this.cash = startingCash;
  }

  /** Books an execution: signed quantity, price per share. Positions that reach zero disappear. */
  book(fill: Omit<Position, 'qty' | 'averageEntry'>, signedQty: Nano, price: Nano): Nano {
    this.rememberPositions();
    const position = { ...(this.positions.get(fill.symbol) ?? { ...fill, qty: 0n, averageEntry: 0n }) };
    const before = position.qty;
    const after = before + signedQty;
    const isOpening = before === 0n || before > 0n === signedQty > 0n;
    if (isOpening) {
      const value = multiply(magnitude(before), position.averageEntry) + multiply(magnitude(signedQty), price);
      position.averageEntry = divide(value, magnitude(after));
    } else if (after !== 0n && after > 0n !== before > 0n) {
      position.averageEntry = price;
    }
    position.qty = after;
    this.cash -= multiply(signedQty, price) * fill.multiplier;
    if (after === 0n) this.positions.delete(fill.symbol);
    else this.positions.set(fill.symbol, position);
    return after;
  }

  /** Call before a change, so that a lagging read can still show what was. */
  rememberPositions(): void {
    const now = performance.now();
    this.#past = this.#past.filter(({ until }) => until > now - PAST_KEPT_MS);
    this.#past.push({ until: now, positions: new Map(this.positions) });
  }

  /** As a read shows them that is so many milliseconds behind. */
  positionsShown(lagMs: number): ReadonlyMap<string, Position> {
    const at = performance.now() - lagMs;
    return this.#past.find(({ until }) => until > at)?.positions ?? this.positions;
  }

  /** Quantity of the position that working orders of the closing side already claim. */
  heldForOrders(symbol: string): Nano {
    const position = this.positions.get(symbol);
    if (position === undefined) return 0n;
    const closingSide = position.qty > 0n ? 'sell' : 'buy';
    let held = 0n;
    for (const order of this.closing(symbol, closingSide)) held += remaining(order);
    return smaller(held, magnitude(position.qty));
  }

  /** Working orders that would close the position; of a group only the parent or the first child counts. */
  *closing(symbol: string, side: string): Iterable<Order> {
    for (const order of this.open) {
      if (order.terms.symbol !== symbol || order.terms.side !== side) continue;
      // The children of a bracket wait or cancel each other: the stop never claims shares beside its take-profit.
      if (order.parent !== undefined && order.parent.terms.orderClass !== 'mleg' && order !== liveChild(order.parent))
        continue;
      yield order;
    }
  }
}

/** Shares that an order may still execute; zero for a notional order, whose shares are not known. */
export function remaining(order: Order): Nano {
  if (order.qtyNano === null) return 0n;
  return order.qtyNano - order.filledQty;
}

function liveChild(parent: Order): Order | undefined {
  if (parent.terms.orderClass === 'oco') return undefined;
  return parent.status === 'filled' ? parent.legs.find((leg) => leg.status !== 'canceled') : undefined;
}
