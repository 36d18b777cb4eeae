/**
 * What an order trades, under one key however its caller names it: any case, `BTC/USD` or `BTCUSD`, an asset's or a
 * contract's id, an option of an adjusted root. Pure: a name whose instrument only the broker knows gives undefined.
 */
import { readDecimal, type Decimal } from './decimal.js';

export interface Instrument {
  /** Two names of one instrument have the same. */
  readonly key: string;
  /** As the broker writes it in orders. */
  readonly symbol: string;
  readonly assetClass: 'us_equity' | 'us_option' | 'crypto';
  /** Units of the underlying in one contract; 1 for what is not a contract. */
  readonly multiplier: Decimal;
  /** The stock behind a contract; anything else is its own. */
  readonly underlying: string;
  readonly contract?: ContractTerms;
}

export interface ContractTerms {
  readonly type: 'call' | 'put';
  readonly strike: Decimal;
  /** `YYMMDD`. */
  readonly expiration: string;
}

const ONE: Decimal = { digits: 1n, scale: 0 };
const STANDARD_MULTIPLIER: Decimal = { digits: 100n, scale: 0 };
/** OCC: root, expiration, call or put, strike in thousandths of a dollar. The root is what the last fifteen leave. */
const CONTRACT = /^([A-Z0-9.]{1,6})(\d{6})([CP])(\d{8})$/;
const PAIR = /^([A-Z0-9]{1,12})\/([A-Z0-9]{2,6})$/;
/** No stock symbol has six letters. Longer quote currencies first: `BTCUSDT` ends in both. */
const JOINED_PAIR = /^(?=[A-Z0-9]{6})([A-Z0-9]+?)(USDT|USDC|USD|BTC)$/;
const STOCK = /^[A-Z0-9]+(?:\.[A-Z0-9]+)*$/;
const SYMBOL_CHARS_MAX = 32;
const ID = /^[0-9a-f]{8}(?:-?[0-9a-f]{4}){3}-?[0-9a-f]{12}$/i;

/** An asset's or a contract's id, which says nothing by itself. */
export function isInstrumentId(name: string): boolean {
  return ID.test(name);
}

/** A contract whose root carries a digit, after a split or a merger: its multiplier is the broker's to say. */
export function isAdjustedContract(name: string): boolean {
  const [, root = ''] = CONTRACT.exec(name.toUpperCase()) ?? [];
  return /\d$/.test(root);
}

/** Undefined for an id, an adjusted root and what is no symbol. */
export function instrumentOfSymbol(name: string): Instrument | undefined {
  const symbol = name.toUpperCase();
  if (isInstrumentId(name) || symbol.length > SYMBOL_CHARS_MAX) return undefined;
  const contract = CONTRACT.exec(symbol);
  if (contract !== null) {
    const [, root = ''] = contract;
    return isAdjustedContract(symbol) ? undefined : contractOf(symbol, root, STANDARD_MULTIPLIER);
  }
  const pair = PAIR.exec(symbol) ?? JOINED_PAIR.exec(symbol);
  if (pair !== null) return pairOf(`${pair[1]}/${pair[2]}`);
  if (!STOCK.test(symbol)) return undefined;
  return { key: symbol, symbol, assetClass: 'us_equity', multiplier: ONE, underlying: symbol };
}

/** Of the broker's own description: an asset, or a contract. Undefined for one that is neither. */
export function instrumentOfBroker(described: Readonly<Record<string, unknown>>): Instrument | undefined {
  const { symbol, underlying_symbol: underlying, multiplier, size } = described;
  if (typeof symbol !== 'string') return undefined;
  if (typeof underlying === 'string') {
    return contractOf(
      symbol.toUpperCase(),
      underlying.toUpperCase(),
      readDecimal(multiplier ?? size) ?? STANDARD_MULTIPLIER,
    );
  }
  const plain = instrumentOfSymbol(symbol);
  return described['class'] === 'crypto' && plain?.assetClass === 'us_equity' ? pairOf(symbol.toUpperCase()) : plain;
}

function pairOf(symbol: string): Instrument {
  return { key: symbol, symbol, assetClass: 'crypto', multiplier: ONE, underlying: symbol };
}

function contractOf(symbol: string, underlying: string, multiplier: Decimal): Instrument | undefined {
  const [, , expiration = '', letter, strike = ''] = CONTRACT.exec(symbol) ?? [];
  if (letter === undefined) return undefined;
  const type = letter === 'C' ? 'call' : 'put';
  const contract: ContractTerms = { type, strike: { digits: BigInt(strike), scale: 3 }, expiration };
  return { key: symbol, symbol, assetClass: 'us_option', multiplier, underlying, contract };
}
