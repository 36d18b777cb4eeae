/** A limit far from the market is a slip of the finger. */
import {
  absolute,
  compareDecimals,
  multiplyDecimals,
  printDecimal,
  readDecimal,
  subtractDecimals,
  ZERO,
} from '../core/decimal.js';
import type { RiskRule } from './rule.js';

const HUNDRED = { digits: 100n, scale: 0 };

/** Measured from the side that the order would trade with: the ask for a buy, the bid for a sell. No quote: denied. */
export const priceCollar: RiskRule = ({ order, rules, marks }) => {
  const percent = readDecimal(rules.priceCollarPercent);
  const symbol = order.symbols[0];
  if (percent === undefined || order.limitPrice === undefined || order.isMultiLeg || symbol === undefined)
    return undefined;
  const rule = 'price_collar';
  const mark = marks.quote(symbol);
  const reference = readDecimal(order.side === 'sell' ? mark?.bidPrice : mark?.askPrice);
  const limitPrice = printDecimal(order.limitPrice);
  if (reference === undefined || compareDecimals(reference, ZERO) <= 0) {
    const numbers = { limit_price: limitPrice, percent: printDecimal(percent) };
    return { kind: 'denied', rule, detail: 'There is no quote to measure the limit price by.', numbers };
  }
  const distance = multiplyDecimals(absolute(subtractDecimals(order.limitPrice, reference)), HUNDRED);
  if (compareDecimals(distance, multiplyDecimals(percent, reference)) <= 0) return undefined;
  const numbers = { limit_price: limitPrice, reference_price: printDecimal(reference), percent: printDecimal(percent) };
  return { kind: 'denied', rule, detail: 'The limit price stands too far from the quote.', numbers };
};
