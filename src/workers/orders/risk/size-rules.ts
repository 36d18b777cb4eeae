/** How large one order may be. */
import {
  absolute,
  addDecimals,
  compareDecimals,
  multiplyDecimals,
  printDecimal,
  readDecimal,
  ZERO,
  type Decimal,
} from '../core/decimal.js';
import { multiplierOf, type OrderView } from './order-view.js';
import type { RiskQuestion, RiskRule } from './rule.js';

export const maxOrderQty: RiskRule = ({ order, rules }) => {
  const limit = readDecimal(rules.maxOrderQty);
  if (limit === undefined || order.qty === undefined) return undefined;
  if (compareDecimals(absolute(order.qty), limit) <= 0) return undefined;
  const numbers = { qty: printDecimal(order.qty), limit: printDecimal(limit) };
  return { kind: 'denied', rule: 'max_order_qty', detail: 'The quantity is above the limit.', numbers };
};

/** Valued at the order's own price, else at the far side of the quote. Without any price nobody knows: denied. */
export const maxOrderNotional: RiskRule = (question) => {
  const limit = readDecimal(question.rules.maxOrderNotional);
  if (limit === undefined) return undefined;
  const rule = 'max_order_notional';
  const notional = notionalOf(question);
  if (notional === undefined) {
    const numbers = { limit: printDecimal(limit) };
    return { kind: 'denied', rule, detail: 'The order has no price and there is no quote to value it by.', numbers };
  }
  if (compareDecimals(notional, limit) <= 0) return undefined;
  const numbers = { notional: printDecimal(notional), limit: printDecimal(limit) };
  return { kind: 'denied', rule, detail: 'The value of the order is above the limit.', numbers };
};

function notionalOf(question: RiskQuestion): Decimal | undefined {
  const { order } = question;
  if (order.notional !== undefined) return absolute(order.notional);
  const qty = order.qty;
  if (qty === undefined) return undefined;
  if (order.isMultiLeg && order.limitPrice !== undefined) return valueOf(qty, order.limitPrice, order);
  let sum = ZERO;
  for (const { symbol, ratio, side } of order.legs) {
    const price = order.limitPrice ?? order.stopPrice ?? farSide(question, symbol, side);
    if (price === undefined || ratio === undefined) return undefined;
    const value = multiplyDecimals(multiplyDecimals(absolute(qty), ratio), multiplierOf(symbol));
    sum = addDecimals(sum, multiplyDecimals(value, absolute(price)));
  }
  return order.legs.length === 0 ? undefined : sum;
}

function valueOf(qty: Decimal, price: Decimal, order: OrderView): Decimal {
  const multiplier = multiplierOf(order.symbols[0] ?? '');
  return multiplyDecimals(multiplyDecimals(absolute(qty), absolute(price)), multiplier);
}

function farSide({ marks }: RiskQuestion, symbol: string, side: 'buy' | 'sell' | undefined): Decimal | undefined {
  const mark = marks.quote(symbol);
  const price = readDecimal(side === 'sell' ? mark?.bidPrice : mark?.askPrice);
  return price === undefined || compareDecimals(price, ZERO) <= 0 ? undefined : price;
}
