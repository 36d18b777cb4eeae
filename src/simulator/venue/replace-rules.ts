/** PATCH of an order (docs/broker-wire.md#replacing-an-order): which changes are allowed, and the terms that result. */
import { isSubPenny, isWhole, subPenny } from './asset-rules.js';
import { parseNano } from './decimal.js';
import { isTerminal, type Order, type OrderTerms } from './order.js';
import { malformed, unprocessable, type Refusal } from './refusal.js';

export interface ChangedTerms {
  readonly terms: OrderTerms;
  readonly clientOrderId: string | undefined;
}

const TIMES = new Set(['day', 'gtc', 'opg', 'cls', 'ioc', 'fok']);

export function changedTerms(order: Order, body: unknown): ChangedTerms | Refusal {
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    return malformed('request body format is invalid');
  const change = body as Readonly<Record<string, unknown>>;
  const refused = stateRefusal(order) ?? quantityRefusal(order, change) ?? priceRefusal(change);
  if (refused !== undefined) return refused;
  const { terms } = order;
  const next: OrderTerms = {
    ...terms,
    qty: textOr(change['qty'], terms.qty),
    timeInForce: textOr(change['time_in_force'], terms.timeInForce) ?? terms.timeInForce,
    limitPrice: textOr(change['limit_price'], terms.limitPrice),
    stopPrice: textOr(change['stop_price'], terms.stopPrice),
    ...trailOf(order, change['trail']),
  };
  if (isSame(terms, next)) return unprocessable('order parameters are not changed');
  const id = change['client_order_id'];
  if (typeof id === 'string' && id.length > 128)
    return malformed('client_order_id must be no more than 128 characters');
  return { terms: next, clientOrderId: typeof id === 'string' && id !== '' ? id : undefined };
}

function stateRefusal(order: Order): Refusal | undefined {
  const isMoving = ['accepted', 'pending_new', 'pending_cancel', 'pending_replace'].includes(order.status);
  if (isMoving || isTerminal(order)) return unprocessable(`cannot replace order in ${order.status} status`);
  if (order.terms.orderClass === 'oto') return unprocessable('replace is not supported for oto orders');
  if (order.terms.notional !== null) return unprocessable('notional orders cannot be replaced');
  return undefined;
}

function quantityRefusal(order: Order, change: Readonly<Record<string, unknown>>): Refusal | undefined {
  const time = change['time_in_force'];
  if (time !== undefined && time !== null && !TIMES.has(time as string)) return malformed('invalid time_in_force');
  const qty = textOr(change['qty'], null);
  if (qty === null) return undefined;
  const size = parseNano(qty);
  if (size === undefined || size <= 0n) return malformed('qty must be > 0');
  if (!isWhole(qty)) return malformed('qty must be integer');
  if (['bracket', 'oco'].includes(order.terms.orderClass))
    return unprocessable('qty cannot be changed for advanced orders');
  if (!isWhole(order.terms.qty)) return unprocessable('qty cannot be changed for fractional orders');
  return size > order.filledQty ? undefined : unprocessable('qty must be > filled_qty');
}

function priceRefusal(change: Readonly<Record<string, unknown>>): Refusal | undefined {
  for (const field of ['limit_price', 'stop_price', 'trail']) {
    const price = textOr(change[field], null);
    if (price === null) continue;
    if (parseNano(price) === undefined) return malformed(`invalid ${field}`);
    if (field !== 'trail' && isSubPenny(price)) return subPenny(field, price);
  }
  return undefined;
}

/** `trail` changes whichever of price and percent the order has. */
function trailOf(order: Order, trail: unknown): Partial<OrderTerms> {
  const text = textOr(trail, null);
  if (text === null) return {};
  return order.terms.trailPercent === null ? { trailPrice: text } : { trailPercent: text };
}

function isSame(before: OrderTerms, after: OrderTerms): boolean {
  const fields = ['qty', 'timeInForce', 'limitPrice', 'stopPrice', 'trailPrice', 'trailPercent'] as const;
  return fields.every((field) => before[field] === after[field] || sameDecimal(before[field], after[field]));
}

function sameDecimal(a: string | null, b: string | null): boolean {
  const left = a === null ? undefined : parseNano(a);
  return left !== undefined && left === (b === null ? undefined : parseNano(b));
}

function textOr(value: unknown, otherwise: string | null): string | null {
  if (typeof value === 'string' && value !== '') return value;
  return typeof value === 'number' ? String(value) : otherwise;
}
