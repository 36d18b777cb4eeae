/**
 * The second gate: may this instrument be traded this way at all? Answers 422/42210000 with the broker's words
 * (docs/broker-wire.md#orders). Accounts come later.
 */
import { ONE, parseNano, textOf, type Nano } from './decimal.js';
import type { OrderDraft } from './order-draft.js';
import { malformed, unprocessable, type Refusal } from './refusal.js';
import type { Instrument, Tape } from './tape.js';

export interface AssetRules {
  readonly tape: Tape;
  readonly isOpen: boolean;
  /** Venue date as YYYY-MM-DD, for expired contracts. */
  readonly today: string;
}

/** The instruments an order is about, or why it cannot be: one for a plain order, one a leg for a multi-leg order. */
export function findInstruments(draft: OrderDraft, rules: AssetRules): readonly Instrument[] | Refusal {
  const symbols = draft.orderClass === 'mleg' ? draft.legs.map((leg) => leg.symbol) : [draft.symbol];
  const found: Instrument[] = [];
  for (const symbol of symbols) {
    const instrument = rules.tape.instrument(symbol);
    if (instrument === undefined) return missing(symbol, draft.orderClass === 'mleg');
    found.push(instrument);
  }
  const refused = draft.orderClass === 'mleg' ? legsRefusal(found, rules) : plainRefusal(draft, found[0], rules);
  return refused ?? found;
}

function missing(symbol: string, isLeg: boolean): Refusal {
  if (isLeg) return unprocessable(`asset not found for ${symbol}`);
  return unprocessable(isOcc(symbol) ? `contract "${symbol}" not found` : `asset "${symbol}" not found`);
}

function plainRefusal(draft: OrderDraft, instrument: Instrument | undefined, rules: AssetRules): Refusal | undefined {
  if (instrument === undefined) return malformed('symbol is required');
  if (instrument.assetClass === 'us_option') return optionRefusal(draft, instrument, rules) ?? pennyRefusal(draft);
  if (!instrument.isActive) return malformed(`asset ${instrument.symbol} is not active`);
  if (!instrument.isTradable) return unprocessable(`asset "${instrument.symbol}" is not tradable`);
  if (instrument.assetClass === 'crypto') return cryptoRefusal(draft);
  return fractionRefusal(draft, instrument) ?? pennyRefusal(draft) ?? stopRefusal(draft, instrument, rules.tape);
}

function optionRefusal(draft: OrderDraft, instrument: Instrument, rules: AssetRules): Refusal | undefined {
  if (draft.notional !== null) return unprocessable('notional orders are not supported for options trading');
  if (draft.orderClass !== '' && draft.orderClass !== 'simple')
    return unprocessable('complex orders not supported for options trading');
  if (draft.type !== 'market' && draft.type !== 'limit') return unprocessable('invalid order type for options trading');
  if (draft.timeInForce !== 'day') return unprocessable('invalid option time_in_force');
  if (draft.extendedHours) return unprocessable('extended hours is not supported for options trading');
  if (!isWhole(draft.qty)) return unprocessable('qty must be integer for options trading');
  if (draft.type === 'market' && !rules.isOpen)
    return unprocessable('options market orders are only allowed during market hours');
  return contractRefusal(instrument, rules);
}

function contractRefusal(instrument: Instrument, rules: AssetRules): Refusal | undefined {
  if ((instrument.option?.expiration ?? '') < rules.today)
    return unprocessable(`contract "${instrument.symbol}" is expired`);
  if (!instrument.isActive) return unprocessable(`contract "${instrument.symbol}" is not active`);
  if (!instrument.isTradable) return unprocessable(`contract "${instrument.symbol}" is not tradable`);
  return undefined;
}

function legsRefusal(legs: readonly Instrument[], rules: AssetRules): Refusal | undefined {
  const underlying = legs[0]?.option?.underlying;
  for (const leg of legs) {
    if (leg.option === undefined) return unprocessable('equity legs only with corresponding calls');
    if (leg.option.underlying !== underlying) {
      return unprocessable(`underlying asset mismatch: ${underlying ?? ''} != ${leg.option.underlying}`);
    }
    const refused = contractRefusal(leg, rules);
    if (refused !== undefined) return refused;
  }
  return undefined;
}

function cryptoRefusal(draft: OrderDraft): Refusal | undefined {
  if (!['gtc', 'ioc', 'fok'].includes(draft.timeInForce)) return unprocessable('invalid crypto time_in_force');
  if (draft.orderClass !== '' && draft.orderClass !== 'simple')
    return unprocessable('crypto orders not allowed for advanced order_class');
  if (!['market', 'limit', 'stop_limit'].includes(draft.type))
    return unprocessable('invalid order type for crypto order');
  return undefined;
}

function fractionRefusal(draft: OrderDraft, instrument: Instrument): Refusal | undefined {
  if (draft.notional === null && isWhole(draft.qty)) return undefined;
  if (!instrument.isFractionable) return unprocessable(`asset "${instrument.symbol}" is not fractionable`);
  if (draft.timeInForce !== 'day') return unprocessable('fractional orders must be DAY orders');
  if (draft.orderClass !== '' && draft.orderClass !== 'simple')
    return unprocessable('fractional orders must be simple orders');
  if (draft.type === 'trailing_stop')
    return unprocessable('fractional orders must be market, limit, stop or stop_limit orders');
  return undefined;
}

/** From a dollar up two decimals, below it four. */
export function isSubPenny(price: string): boolean {
  const value = parseNano(price) ?? 0n;
  const size = value < 0n ? -value : value;
  return value % (size >= ONE ? ONE / 100n : ONE / 10_000n) !== 0n;
}

/** The broker's words for a price finer than the tick. */
export function subPenny(field: string, price: string): Refusal {
  return unprocessable(`invalid ${field} ${price}. sub-penny increment does not fulfill minimum pricing criteria`);
}

function pennyRefusal(draft: OrderDraft): Refusal | undefined {
  const prices: readonly (readonly [string, string | null | undefined])[] = [
    ['limit_price', draft.limitPrice],
    ['stop_price', draft.stopPrice],
    ['take_profit.limit_price', draft.takeProfit?.limitPrice],
    ['stop_loss.stop_price', draft.stopLoss?.stopPrice],
    ['stop_loss.limit_price', draft.stopLoss?.limitPrice],
  ];
  for (const [field, price] of prices) {
    if (price !== null && price !== undefined && isSubPenny(price)) return subPenny(field, price);
  }
  return undefined;
}

/** A stop that would trigger at once is refused (error catalogue, stop against market). */
function stopRefusal(draft: OrderDraft, instrument: Instrument, tape: Tape): Refusal | undefined {
  const stop = draft.stopPrice === null ? undefined : parseNano(draft.stopPrice);
  const last = tape.last(instrument.symbol);
  if (stop === undefined || last === undefined) return undefined;
  const isWrong = draft.side === 'sell' ? stop >= last : stop <= last;
  if (!isWrong) return undefined;
  const relation = draft.side === 'sell' ? 'less' : 'greater';
  return unprocessable(`stop price must be ${relation} than current price`, {
    market_price: textOf(last),
    stop_price: draft.stopPrice,
  });
}

export function isWhole(qty: string | null): boolean {
  const value: Nano | undefined = qty === null ? undefined : parseNano(qty);
  return value !== undefined && value % ONE === 0n;
}

function isOcc(symbol: string): boolean {
  return /^[A-Z0-9.]{1,6}\d{6}[CP]\d{8}$/.test(symbol);
}
