/**
 * Is this broker's order the one that our intent describes? Asked of every positive answer: a proxy can mix up two
 * answers, and an id can have been used before (docs/order-protocol.md R9). Only what both sides say is compared.
 */
import { compareDecimals, readDecimal } from '../../../kernel/domain/decimal.js';

export type BrokerOrder = Readonly<Record<string, unknown>>;

const ENUMS = ['side', 'type', 'time_in_force'] as const;
const DECIMALS = ['qty', 'notional', 'limit_price', 'stop_price', 'trail_price', 'trail_percent'] as const;

/** What an intent says of the order that it wants. */
export interface Wanted {
  readonly kind: 'submit' | 'replace' | 'close';
  readonly body: BrokerOrder;
  /** The client order id was made here, from a key or at random: no other order can carry it. */
  readonly hasDerivedId: boolean;
  /** Of a replacement: the order in whose place it comes. */
  readonly replaces?: string;
}

/** The order that a replacement's path names. */
export function replacedBy(path: string): string {
  return decodeURIComponent(path.split('/').at(-1) ?? '');
}

/**
 * Our id, and for a replacement the order that it replaces, must be there. Under an id that a caller chose the fields
 * must agree too: another order may carry it. Under a derived one the order is ours even if the broker rewrote another
 * field than symbol and side.
 */
export function matchesIntent(wanted: Wanted, order: BrokerOrder): boolean {
  const { kind, body, hasDerivedId, replaces } = wanted;
  if (typeof order['id'] !== 'string' || order['id'] === '') return false;
  if (order['client_order_id'] !== body['client_order_id']) return false;
  if (kind === 'replace' && order['replaces'] !== replaces) return false;
  const differences = differencesOf(wanted, order);
  // No broker turns an order round or sends it to another market: that is another order's answer.
  if (differences.includes('symbol') || differences.includes('side')) return false;
  return hasDerivedId || differences.length === 0;
}

/** Names of the fields that the intent asked for and the order says otherwise. */
export function differencesOf({ body, kind }: Wanted, order: BrokerOrder): readonly string[] {
  const names: string[] = sameSymbol(body['symbol'], order['symbol']) ? [] : ['symbol'];
  names.push(...ENUMS.filter((name) => !sameEnum(body[name], order[name])));
  names.push(...DECIMALS.filter((name) => !sameDecimal(body[name], order[name])));
  if (kind !== 'replace' || body['trail'] === undefined) return names;
  // A new trail comes back in the unit that the order has.
  const trails = [order['trail_price'], order['trail_percent']].filter((trail) => readDecimal(trail) !== undefined);
  const isSame = trails.length === 0 || trails.some((trail) => sameDecimal(body['trail'], trail));
  return isSame ? names : [...names, 'trail'];
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
function sameSymbol(ours: unknown, theirs: unknown): boolean {
  if (typeof ours !== 'string' || typeof theirs !== 'string' || theirs === '') return true;
  return ours.replace('/', '').toUpperCase() === theirs.replace('/', '').toUpperCase() || isAssetId(ours);
}

function sameEnum(ours: unknown, theirs: unknown): boolean {
  if (typeof ours !== 'string' || typeof theirs !== 'string' || theirs === '') return true;
  return ours.toLowerCase() === theirs.toLowerCase();
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
