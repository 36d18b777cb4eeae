/** How large one order may be. */
import {
  absolute,
  compareDecimals,
  multiplyDecimals,
  printDecimal,
  readDecimal,
  ZERO,
  type Decimal,
} from '../../../kernel/domain/decimal.js';
import type { LegView } from './order-view.js';
import { noQuote, type RiskQuestion, type RiskRule } from './rule.js';

/** An order by value counts by the quantity that it buys at most. */
export const maxOrderQty: RiskRule = (question) => {
  const limit = readDecimal(question.rules.maxOrderQty);
  const [leg] = question.order.legs;
  if (limit === undefined || leg === undefined) return undefined;
  const rule = 'max_order_qty';
  const qty = question.order.qty === undefined ? wantedQty(question, leg) : absolute(question.order.qty);
  if (qty === undefined) return noQuote(rule, leg.instrument);
  if (compareDecimals(qty, limit) <= 0) return undefined;
  const numbers = { value: printDecimal(qty), limit: printDecimal(limit) };
  return { kind: 'denied', rule, detail: 'The quantity is above the limit.', numbers };
};

/** By the worst-case value of the order (order-value.ts). */
export const maxOrderNotional: RiskRule = ({ rules, value: valued }) => {
  const limit = readDecimal(rules.maxOrderNotional);
  if (limit === undefined) return undefined;
  const rule = 'max_order_notional';
  if (valued.kind === 'no-quote') return noQuote(rule, valued.instrument);
  if (compareDecimals(valued.value, limit) <= 0) return undefined;
  const numbers = { value: printDecimal(valued.value), limit: printDecimal(limit) };
  return { kind: 'denied', rule, detail: 'The value of the order is above the limit.', numbers };
};

const QTY_SCALE = 9;

/** Units of this leg. An order by value is sized by the bid, the side that makes the quantity larger. */
export function wantedQty({ order, quoteOf }: RiskQuestion, { instrument, ratio }: LegView): Decimal | undefined {
  if (order.qty !== undefined) return multiplyDecimals(absolute(order.qty), ratio);
  const bid = quoteOf(instrument)?.bid;
  if (order.notional === undefined || bid === undefined || compareDecimals(bid, ZERO) <= 0) return undefined;
  const whole = 10n ** BigInt(QTY_SCALE + bid.scale);
  const digits = (absolute(order.notional).digits * whole) / (bid.digits * 10n ** BigInt(order.notional.scale));
  return { digits: digits + 1n, scale: QTY_SCALE };
}
