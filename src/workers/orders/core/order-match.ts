/**
 * Is this broker's order the one that our intent describes? Asked of every positive answer: a proxy can mix up two
 * answers, and an id can have been used before (R9). Only what both sides say is compared.
 */
import { compareDecimals, readDecimal } from './decimal.js';

export type BrokerOrder = Readonly<Record<string, unknown>>;

const WORDS = ['symbol', 'side', 'type', 'time_in_force'] as const;
const DECIMALS = ['qty', 'notional', 'limit_price', 'stop_price', 'trail_price', 'trail_percent'] as const;

export function matchesIntent(
  intentBody: BrokerOrder,
  order: BrokerOrder,
  kind: 'submit' | 'replace' | 'close',
): boolean {
  if (typeof order['id'] !== 'string' || order['id'] === '') return false;
  if (order['client_order_id'] !== intentBody['client_order_id']) return false;
  return (
    WORDS.every((name) => sameWord(intentBody[name], order[name], name)) &&
    // A replacement's other fields come from the order that it replaces, and may be filled in part already.
    (kind === 'replace' || DECIMALS.every((name) => sameDecimal(intentBody[name], order[name])))
  );
}

/** An order as the broker sends it, or undefined when these bytes are not one. */
export function readOrder(bytes: Uint8Array): BrokerOrder | undefined {
  const value = readJson(bytes);
  return isRecord(value) && typeof value['id'] === 'string' ? value : undefined;
}

/** Undefined for what is not UTF-8 or not JSON. */
export function readJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

export function isRecord(value: unknown): value is BrokerOrder {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A pair has two spellings, and a multi-leg order has none: `BTC/USD`, `BTCUSD`, `""`. */
function sameWord(ours: unknown, theirs: unknown, name: string): boolean {
  if (typeof ours !== 'string' || typeof theirs !== 'string' || theirs === '') return true;
  if (name !== 'symbol') return ours === theirs;
  return ours.replace('/', '').toUpperCase() === theirs.replace('/', '').toUpperCase() || isAssetId(ours);
}

/** The broker also takes an asset's id for its symbol, and answers with the symbol. */
function isAssetId(symbol: string): boolean {
  return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(symbol);
}

function sameDecimal(ours: unknown, theirs: unknown): boolean {
  const left = readDecimal(ours);
  const right = readDecimal(theirs);
  return left === undefined || right === undefined || compareDecimals(left, right) === 0;
}
