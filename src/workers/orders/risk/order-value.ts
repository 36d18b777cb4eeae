/**
 * The worst-case value of one order, in dollars: the table 'Value of an order' in docs/order-protocol.md. A price is
 * taken from the order where its type has one, else from the side of the quote that it would trade with.
 */
import {
  absolute,
  addDecimals,
  compareDecimals,
  multiplyDecimals,
  ZERO,
  type Decimal,
} from '../../../kernel/domain/decimal.js';
import type { Instrument } from '../../../kernel/domain/instrument.js';
import type { LegView, OrderView } from './order-view.js';

export interface Quoted {
  readonly bid: Decimal | undefined;
  readonly ask: Decimal | undefined;
}

export type QuoteOf = (instrument: Instrument) => Quoted | undefined;

export type Valued =
  | { readonly kind: 'value'; readonly value: Decimal }
  /** It cannot be valued without a quote of this instrument. */
  | { readonly kind: 'no-quote'; readonly instrument: Instrument };

const HUNDREDTH: Decimal = { digits: 1n, scale: 2 };

export function valueOf(order: OrderView, quoteOf: QuoteOf): Valued {
  if (order.notional !== undefined) return { kind: 'value', value: absolute(order.notional) };
  if (order.isMultiLeg) return multiLegValue(order, quoteOf);
  const [leg] = order.legs;
  if (leg === undefined || order.qty === undefined) return { kind: 'value', value: ZERO };
  const units = multiplyDecimals(absolute(order.qty), leg.instrument.multiplier);
  // The ways out of a bracket are judged with it: the largest of all counts.
  const prices = order.exitPrices.map(absolute);
  const entry = order.isExitOnly && prices.length > 0 ? ZERO : priceOf(order, leg, quoteOf);
  if (entry === undefined) return { kind: 'no-quote', instrument: leg.instrument };
  return { kind: 'value', value: multiplyDecimals(units, largest([entry, ...prices])) };
}

/** Per unit. Undefined where a quote is needed and there is none. */
function priceOf(order: OrderView, { instrument, side }: LegView, quoteOf: QuoteOf): Decimal | undefined {
  const isSell = side === 'sell';
  const limit = order.limitPrice === undefined ? undefined : absolute(order.limitPrice);
  // A limit buy never pays more than its limit. A limit sell below the bid is filled at the bid.
  if (limit !== undefined && (!isSell || order.type === 'stop_limit')) return limit;
  const quote = quoteOf(instrument);
  if (isSell) {
    const bid = positive(quote?.bid);
    return bid === undefined || limit === undefined ? bid : largest([limit, bid]);
  }
  const ask = positive(quote?.ask);
  if (ask === undefined) return undefined;
  if (order.type === 'stop' && order.stopPrice !== undefined) return largest([absolute(order.stopPrice), ask]);
  if (order.trailPrice !== undefined) return addDecimals(ask, absolute(order.trailPrice));
  if (order.trailPercent === undefined) return ask;
  return addDecimals(ask, multiplyDecimals(multiplyDecimals(ask, absolute(order.trailPercent)), HUNDREDTH));
}

/** The larger of what is paid or received net, and of what the legs can lose together. */
function multiLegValue(order: OrderView, quoteOf: QuoteOf): Valued {
  const qty = absolute(order.qty ?? ZERO);
  const multiplier = order.legs[0]?.instrument.multiplier ?? ZERO;
  let net = order.limitPrice === undefined ? undefined : absolute(order.limitPrice);
  if (net === undefined) {
    let sum = ZERO;
    for (const leg of order.legs) {
      const quote = quoteOf(leg.instrument);
      const price = positive(leg.side === 'sell' ? quote?.bid : quote?.ask);
      if (price === undefined) return { kind: 'no-quote', instrument: leg.instrument };
      const paid = multiplyDecimals(price, leg.ratio);
      sum = addDecimals(sum, leg.side === 'sell' ? { digits: -paid.digits, scale: paid.scale } : paid);
    }
    net = absolute(sum);
  }
  const perUnit = largest([net, riskPerUnit(order.legs)]);
  return { kind: 'value', value: multiplyDecimals(multiplyDecimals(qty, perUnit), multiplier) };
}

/**
 * The largest loss of the legs at expiration, per unit of the underlying, what they cost left aside. Legs that close
 * something are no risk of this order. Not bounded, or over several expirations: the short legs' strikes.
 */
function riskPerUnit(legs: readonly LegView[]): Decimal {
  const opening = legs.filter(({ intent }) => intent !== 'sell_to_close' && intent !== 'buy_to_close');
  const isBounded =
    new Set(opening.map(({ instrument }) => instrument.contract?.expiration)).size <= 1 &&
    new Set(opening.map(({ instrument }) => instrument.underlying)).size <= 1 &&
    compareDecimals(slopeAbove(opening), ZERO) >= 0;
  if (!isBounded) return sumOf(opening.filter(({ side }) => side === 'sell').map(strikeOf));
  const corners = [ZERO, ...opening.map(({ instrument }) => instrument.contract?.strike ?? ZERO)];
  const worst = corners
    .map((price) => payoffAt(opening, price))
    .reduce((a, b) => (compareDecimals(b, a) < 0 ? b : a), ZERO);
  return absolute(worst);
}

/** How the payoff grows with the price above every strike: below zero the loss has no bound. */
function slopeAbove(legs: readonly LegView[]): Decimal {
  return sumOf(
    legs.filter(({ instrument }) => instrument.contract?.type === 'call').map((leg) => signed(leg, leg.ratio)),
  );
}

function payoffAt(legs: readonly LegView[], price: Decimal): Decimal {
  return sumOf(
    legs.map((leg) => {
      const { type = 'call', strike = ZERO } = leg.instrument.contract ?? {};
      const [high, low] = type === 'call' ? [price, strike] : [strike, price];
      const inside = addDecimals(high, { digits: -low.digits, scale: low.scale });
      const intrinsic = compareDecimals(inside, ZERO) > 0 ? inside : ZERO;
      return signed(leg, multiplyDecimals(intrinsic, leg.ratio));
    }),
  );
}

function strikeOf({ instrument, ratio }: LegView): Decimal {
  return multiplyDecimals(instrument.contract?.strike ?? ZERO, ratio);
}

function signed({ side }: LegView, amount: Decimal): Decimal {
  return side === 'sell' ? { digits: -amount.digits, scale: amount.scale } : amount;
}

function sumOf(amounts: readonly Decimal[]): Decimal {
  return amounts.reduce(addDecimals, ZERO);
}

function largest(amounts: readonly Decimal[]): Decimal {
  return amounts.reduce((a, b) => (compareDecimals(b, a) > 0 ? b : a), ZERO);
}

function positive(price: Decimal | undefined): Decimal | undefined {
  return price !== undefined && compareDecimals(price, ZERO) > 0 ? price : undefined;
}
