/**
 * An order as the venue keeps it, and as it is shown on REST and in `trade_updates`. Fields that the client sent are
 * kept exactly as sent; everything else is the venue's.
 */
import { divide, textOf, type Nano } from './decimal.js';

export type OrderStatus =
  | 'accepted'
  | 'pending_new'
  | 'new'
  | 'held'
  | 'partially_filled'
  | 'filled'
  | 'pending_cancel'
  | 'canceled'
  | 'expired'
  | 'pending_replace'
  | 'replaced'
  | 'rejected'
  | 'done_for_day'
  | 'stopped'
  | 'suspended'
  | 'calculated';

export type OrderClass = '' | 'simple' | 'bracket' | 'oco' | 'oto' | 'mleg';
export type Side = 'buy' | 'sell';

/** What the client asked for, checked for shape; text fields are the client's own characters. */
export interface OrderTerms {
  readonly symbol: string;
  readonly qty: string | null;
  readonly notional: string | null;
  readonly side: string;
  readonly type: string;
  readonly timeInForce: string;
  readonly limitPrice: string | null;
  readonly stopPrice: string | null;
  readonly trailPrice: string | null;
  readonly trailPercent: string | null;
  readonly extendedHours: boolean;
  readonly orderClass: OrderClass;
  readonly positionIntent: string | null;
  readonly ratioQty: string | null;
  readonly assetId: string;
  readonly assetClass: string;
  /** 100 for options, 1 otherwise. */
  readonly multiplier: bigint;
}

export interface Order {
  readonly id: string;
  readonly accountId: string;
  readonly clientOrderId: string;
  /** Submission order inside the whole venue: what lists are sorted and paged by. */
  readonly sequence: number;
  terms: OrderTerms;
  readonly parent: Order | undefined;
  legs: Order[];
  status: OrderStatus;
  /** From when on lists and lookups show it, in the venue's milliseconds. */
  visibleAt: number;
  readonly submittedAtMs: number;
  readonly createdAt: string;
  readonly submittedAt: string;
  updatedAt: string;
  filledAt: string | null;
  expiredAt: string | null;
  readonly expiresAt: string | null;
  cancelRequestedAt: string | null;
  canceledAt: string | null;
  failedAt: string | null;
  replacedAt: string | null;
  replacedBy: string | null;
  readonly replaces: string | null;
  /** The quantity of the terms; null for notional orders. */
  qtyNano: Nano | null;
  /** Money tied up while it is open; zero for orders that close a position. */
  readonly reserve: Nano;
  filledQty: Nano;
  /** Sum of quantity times price over the executions. */
  filledValue: Nano;
  /** High (sell) or low (buy) water mark of a trailing stop. */
  hwm: Nano | null;
  /** A stop that has been touched and now behaves as market or limit. */
  triggered: boolean;
}

const TERMINAL: ReadonlySet<OrderStatus> = new Set(['filled', 'canceled', 'expired', 'replaced', 'rejected']);

export function isTerminal(order: Order): boolean {
  return TERMINAL.has(order.status);
}

export function averagePrice(order: Order): string | null {
  return order.filledQty === 0n ? null : textOf(divide(order.filledValue, order.filledQty));
}

/** The wire object of REST. `nested` puts children under `legs`; multi-leg orders always show theirs. */
export function renderOrder(order: Order, nested = true): Record<string, unknown> {
  const { terms } = order;
  const showLegs = order.legs.length > 0 && (nested || terms.orderClass === 'mleg');
  return {
    id: order.id,
    client_order_id: order.clientOrderId,
    created_at: order.createdAt,
    updated_at: order.updatedAt,
    submitted_at: order.submittedAt,
    filled_at: order.filledAt,
    expired_at: order.expiredAt,
    canceled_at: order.canceledAt,
    failed_at: order.failedAt,
    replaced_at: order.replacedAt,
    replaced_by: order.replacedBy,
    replaces: order.replaces,
    asset_id: terms.assetId,
    symbol: terms.symbol,
    asset_class: terms.assetClass,
    notional: terms.notional,
    qty: terms.qty,
    filled_qty: textOf(order.filledQty),
    filled_avg_price: averagePrice(order),
    order_class: terms.orderClass,
    order_type: terms.type,
    type: terms.type,
    side: terms.side,
    time_in_force: terms.timeInForce,
    limit_price: terms.limitPrice,
    stop_price: terms.stopPrice,
    status: order.status,
    extended_hours: terms.extendedHours,
    legs: showLegs ? order.legs.map((leg) => renderOrder(leg)) : null,
    trail_percent: terms.trailPercent,
    trail_price: terms.trailPrice,
    hwm: order.hwm === null ? null : textOf(order.hwm),
    ...(terms.positionIntent === null ? {} : { position_intent: terms.positionIntent }),
    subtag: null,
    source: null,
    ...(order.expiresAt === null ? {} : { expires_at: order.expiresAt }),
    ...(terms.ratioQty === null ? {} : { ratio_qty: terms.ratioQty }),
  };
}

/** The order inside a `trade_updates` message: as on REST, plus when its cancel was asked for. */
export function renderStreamOrder(order: Order): Record<string, unknown> {
  return { ...renderOrder(order), cancel_requested_at: order.cancelRequestedAt };
}
