/** What the risk rules see of an order: instruments, sizes and prices as exact decimals. Reads, never judges. */
import { readDecimal, type Decimal } from '../../../kernel/domain/decimal.js';
import type { Instrument } from '../../../kernel/domain/instrument.js';

export interface OrderView {
  readonly side: 'buy' | 'sell' | undefined;
  readonly type: string;
  readonly qty: Decimal | undefined;
  readonly notional: Decimal | undefined;
  /** Only of a type that has one: a limit_price on a market order counts nothing. */
  readonly limitPrice: Decimal | undefined;
  readonly stopPrice: Decimal | undefined;
  readonly trailPrice: Decimal | undefined;
  readonly trailPercent: Decimal | undefined;
  /** Prices of the ways out of a bracket, OCO or OTO. */
  readonly exitPrices: readonly Decimal[];
  /** An OCO is nothing but ways out. */
  readonly isExitOnly: boolean;
  readonly isMultiLeg: boolean;
  /** One for a plain order. */
  readonly legs: readonly LegView[];
}

export interface LegView {
  readonly instrument: Instrument;
  readonly side: 'buy' | 'sell' | undefined;
  readonly intent: string | undefined;
  readonly ratio: Decimal;
}

type Body = Readonly<Record<string, unknown>>;

const ONE: Decimal = { digits: 1n, scale: 0 };
const LIMITS: ReadonlySet<unknown> = new Set(['limit', 'stop_limit']);
const STOPS: ReadonlySet<unknown> = new Set(['stop', 'stop_limit']);
const WAYS_OUT: ReadonlySet<unknown> = new Set(['bracket', 'oco', 'oto']);

/** The names of instruments in an order's body, as its caller wrote them. */
export function namesIn(body: Body): readonly string[] {
  const legs = legsOf(body).map((leg) => leg['symbol']);
  return [body['symbol'], ...legs].filter((name): name is string => typeof name === 'string' && name !== '');
}

/** Undefined when an instrument of it is not known. */
export function viewOrder(body: Body, instrumentOf: (name: string) => Instrument | undefined): OrderView | undefined {
  const isMultiLeg = body['order_class'] === 'mleg';
  const legs = (isMultiLeg ? legsOf(body) : [body]).map((leg) => viewLeg(leg, isMultiLeg, instrumentOf));
  if (legs.some((leg) => leg === undefined)) return undefined;
  const type = typeof body['type'] === 'string' ? body['type'] : '';
  const isTrailing = type === 'trailing_stop';
  return {
    side: readSide(body['side']),
    type,
    qty: readDecimal(body['qty']),
    notional: readDecimal(body['notional']),
    limitPrice: LIMITS.has(type) ? readDecimal(body['limit_price']) : undefined,
    stopPrice: STOPS.has(type) ? readDecimal(body['stop_price']) : undefined,
    trailPrice: isTrailing ? readDecimal(body['trail_price']) : undefined,
    trailPercent: isTrailing ? readDecimal(body['trail_percent']) : undefined,
    exitPrices: WAYS_OUT.has(body['order_class']) ? exitPricesOf(body) : [],
    isExitOnly: body['order_class'] === 'oco',
    isMultiLeg,
    legs: legs.filter((leg) => leg !== undefined),
  };
}

function legsOf(body: Body): readonly Body[] {
  const { legs } = body;
  return Array.isArray(legs) ? legs.filter((leg): leg is Body => typeof leg === 'object' && leg !== null) : [];
}

function exitPricesOf(body: Body): readonly Decimal[] {
  const exits = [body['take_profit'], body['stop_loss']] as (Body | undefined)[];
  const prices = exits.flatMap((exit) => [exit?.['limit_price'], exit?.['stop_price']]);
  return prices.map(readDecimal).filter((price) => price !== undefined);
}

function viewLeg(
  fields: Body,
  hasRatio: boolean,
  instrumentOf: (name: string) => Instrument | undefined,
): LegView | undefined {
  const { symbol, position_intent: intent, ratio_qty: ratio } = fields;
  const instrument = typeof symbol === 'string' ? instrumentOf(symbol) : undefined;
  if (instrument === undefined) return undefined;
  const isIntent = typeof intent === 'string';
  return {
    instrument,
    side: readSide(fields['side']) ?? (isIntent ? readSide(intent.split('_')[0]) : undefined),
    intent: isIntent ? intent : undefined,
    ratio: hasRatio ? (readDecimal(ratio) ?? ONE) : ONE,
  };
}

function readSide(value: unknown): 'buy' | 'sell' | undefined {
  return value === 'buy' || value === 'sell' ? value : undefined;
}
