/** What the risk rules see of an order: its size, price and direction as exact decimals. Reads, never judges. */
import { readDecimal, type Decimal } from '../core/decimal.js';

export interface OrderView {
  /** One for a plain order, several for a multi-leg one. */
  readonly symbols: readonly string[];
  readonly side: 'buy' | 'sell' | undefined;
  readonly type: string;
  readonly qty: Decimal | undefined;
  readonly notional: Decimal | undefined;
  readonly limitPrice: Decimal | undefined;
  readonly stopPrice: Decimal | undefined;
  readonly isMultiLeg: boolean;
  readonly legs: readonly LegView[];
}

export interface LegView {
  readonly symbol: string;
  readonly side: 'buy' | 'sell' | undefined;
  readonly intent: string | undefined;
  readonly ratio: Decimal | undefined;
}

/** OCC: root, expiration, call or put, strike. */
const OPTION = /^([A-Z0-9.]{1,6})\d{6}[CP]\d{8}$/;
const SHARES_PER_CONTRACT: Decimal = { digits: 100n, scale: 0 };
const ONE: Decimal = { digits: 1n, scale: 0 };

export function viewOrder(body: Readonly<Record<string, unknown>>): OrderView {
  const legs = Array.isArray(body['legs']) ? body['legs'].map(viewLeg) : [];
  const isMultiLeg = body['order_class'] === 'mleg';
  const own = typeof body['symbol'] === 'string' ? [body['symbol']] : [];
  return {
    symbols: isMultiLeg ? legs.map(({ symbol }) => symbol) : own,
    side: readSide(body['side']),
    type: typeof body['type'] === 'string' ? body['type'] : '',
    qty: readDecimal(body['qty']),
    notional: readDecimal(body['notional']),
    limitPrice: readDecimal(body['limit_price']),
    stopPrice: readDecimal(body['stop_price']),
    isMultiLeg,
    legs: isMultiLeg ? legs : own.map((symbol) => viewPlainLeg(symbol, body)),
  };
}

/** The stock behind an option contract; any other symbol is its own. */
export function underlyingOf(symbol: string): string {
  return OPTION.exec(symbol)?.[1] ?? symbol;
}

/** Prices of options are per share. */
export function multiplierOf(symbol: string): Decimal {
  return OPTION.test(symbol) ? SHARES_PER_CONTRACT : ONE;
}

function viewLeg(leg: unknown): LegView {
  const fields = (typeof leg === 'object' && leg !== null ? leg : {}) as Readonly<Record<string, unknown>>;
  const symbol = typeof fields['symbol'] === 'string' ? fields['symbol'] : '';
  return { ...viewPlainLeg(symbol, fields), ratio: readDecimal(fields['ratio_qty']) };
}

function viewPlainLeg(symbol: string, fields: Readonly<Record<string, unknown>>): LegView {
  const intent = fields['position_intent'];
  return {
    symbol,
    side: readSide(fields['side']),
    intent: typeof intent === 'string' ? intent : undefined,
    ratio: ONE,
  };
}

function readSide(value: unknown): 'buy' | 'sell' | undefined {
  return value === 'buy' || value === 'sell' ? value : undefined;
}
