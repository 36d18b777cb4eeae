/** A price far from the market is a slip of the finger; so is a market order when there is no market to speak of. */
import {
  absolute,
  addDecimals,
  compareDecimals,
  multiplyDecimals,
  printDecimal,
  readDecimal,
  subtractDecimals,
  ZERO,
  type Decimal,
} from '../../../kernel/domain/decimal.js';
import type { OrderView } from './order-view.js';
import { noQuote, type RiskRule } from './rule.js';

const HUNDRED: Decimal = { digits: 100n, scale: 0 };

/**
 * Limits, stops and the ways out of an OCO, measured from the side that the order would trade with: the ask for a buy,
 * the bid for a sell. The ways out of a bracket are meant to stand away from the market.
 */
export const priceCollar: RiskRule = ({ order, rules, quoteOf }) => {
  const percent = readDecimal(rules.priceCollarPercent);
  const [leg] = order.legs;
  const prices = collaredPrices(order);
  if (percent === undefined || order.isMultiLeg || leg === undefined || prices.length === 0) return undefined;
  const rule = 'price_collar';
  const quote = quoteOf(leg.instrument);
  const reference = leg.side === 'sell' ? quote?.bid : quote?.ask;
  if (reference === undefined || compareDecimals(reference, ZERO) <= 0) return noQuote(rule, leg.instrument);
  const most = multiplyDecimals(percent, reference);
  const far = prices.find(
    (price) => compareDecimals(multiplyDecimals(absolute(subtractDecimals(price, reference)), HUNDRED), most) > 0,
  );
  if (far === undefined) return undefined;
  const [value, limit] = [printDecimal(far), printDecimal(percent)];
  const numbers = { value, limit, reference_price: printDecimal(reference) };
  return { kind: 'denied', rule, detail: 'A price of the order stands too far from the quote.', numbers };
};

function collaredPrices({ limitPrice, stopPrice, exitPrices, isExitOnly }: OrderView): readonly Decimal[] {
  const own = [limitPrice, stopPrice].filter((price) => price !== undefined);
  return isExitOnly ? [...own, ...exitPrices] : own;
}

/** A market order takes what stands there: only while the quote is young. */
export const quoteAge: RiskRule = ({ order, rules, quoteOf }) => {
  const limit = rules.maxQuoteAgeMs;
  if (limit === undefined || order.type !== 'market') return undefined;
  const rule = 'max_quote_age_ms';
  for (const { instrument } of order.legs) {
    const ageMs = quoteOf(instrument)?.ageMs;
    if (ageMs === undefined) return noQuote(rule, instrument);
    if (ageMs <= limit) continue;
    const numbers = { value: Math.floor(ageMs), limit, symbol: instrument.symbol };
    return { kind: 'denied', rule, detail: 'The quote is too old for a market order.', numbers };
  }
  return undefined;
};

/** And only while bid and ask stand close to each other, in percent of their middle. */
export const quoteSpread: RiskRule = ({ order, rules, quoteOf }) => {
  const limit = readDecimal(rules.maxSpreadPercent);
  if (limit === undefined || order.type !== 'market') return undefined;
  const rule = 'max_spread_percent';
  for (const { instrument } of order.legs) {
    const { bid, ask } = quoteOf(instrument) ?? {};
    if (bid === undefined || ask === undefined || compareDecimals(bid, ZERO) <= 0 || compareDecimals(ask, ZERO) <= 0)
      return noQuote(rule, instrument);
    const spread = multiplyDecimals(absolute(subtractDecimals(ask, bid)), { digits: 200n, scale: 0 });
    if (compareDecimals(spread, multiplyDecimals(limit, addDecimals(bid, ask))) <= 0) continue;
    const numbers = { limit: printDecimal(limit), bid_price: printDecimal(bid), ask_price: printDecimal(ask) };
    return { kind: 'denied', rule, detail: 'The spread is too wide for a market order.', numbers };
  }
  return undefined;
};
