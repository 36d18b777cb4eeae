/**
 * Closing a position as an order of our own: the broker's own way takes no client order id, so an answer that is lost
 * could never be looked up, and `percentage=50` sent twice sells 75 percent. Pure: from a position as it was read and
 * what open orders hold of it to an order that can only close.
 */
import {
  absolute,
  compareDecimals,
  multiplyDecimals,
  printDecimal,
  readDecimal,
  subtractDecimals,
  truncateDecimal,
  ZERO,
  type Decimal,
} from '../../kernel/domain/decimal.js';
import type { BrokerOrder } from './core/order-match.js';
import type { Instrument } from '../../kernel/domain/instrument.js';

const QTY_SCALE = 9;
const HUNDREDTH = { digits: 1n, scale: 2 };
const HUNDRED = { digits: 100n, scale: 0 };

export interface Part {
  readonly qty?: string;
  readonly percentage?: string;
}

export type ClosingOrder =
  | { readonly kind: 'order'; readonly body: BrokerOrder }
  | { readonly kind: 'refused'; readonly field: 'qty' | 'percentage'; readonly detail: string }
  /** Open orders hold so much of it that what was asked for is not free. */
  | { readonly kind: 'held'; readonly qty: string; readonly available: string };

/** @param reserved what this gateway's orders of the closing side hold; undefined: perhaps all of it */
export function closingOrder(
  position: BrokerOrder,
  {
    instrument,
    part,
    reserved,
  }: { readonly instrument: Instrument; readonly part: Part; readonly reserved: Decimal | undefined },
): ClosingOrder {
  const held = readDecimal(position['qty']) ?? ZERO;
  const size = absolute(held);
  const asked = askedFor(part, size, instrument);
  if (asked.kind === 'refused') return asked;
  const available = freeOf(size, position, reserved);
  const isWhole = part.qty === undefined && part.percentage === undefined;
  const qty = isWhole && compareDecimals(available, asked.qty) < 0 ? available : asked.qty;
  if (compareDecimals(qty, available) > 0 || compareDecimals(qty, ZERO) <= 0) {
    return { kind: 'held', qty: printDecimal(size), available: printDecimal(available) };
  }
  const isShort = compareDecimals(held, ZERO) < 0;
  const isCrypto = instrument.assetClass === 'crypto';
  return {
    kind: 'order',
    body: {
      symbol: instrument.symbol,
      qty: printDecimal(qty),
      side: isShort ? 'buy' : 'sell',
      type: 'market',
      time_in_force: isCrypto ? 'gtc' : 'day',
      // A second fence at the broker: such an order opens nothing. Pairs know no intent.
      ...(isCrypto ? {} : { position_intent: isShort ? 'buy_to_close' : 'sell_to_close' }),
    },
  };
}

type Asked = { readonly kind: 'qty'; readonly qty: Decimal } | Extract<ClosingOrder, { kind: 'refused' }>;

function askedFor({ qty, percentage }: Part, size: Decimal, { assetClass }: Instrument): Asked {
  if (qty !== undefined) {
    const asked = readDecimal(qty);
    const detail = `The quantity must be above 0 and at most ${printDecimal(size)}.`;
    return asked === undefined || !isWithin(asked, size)
      ? { kind: 'refused', field: 'qty', detail }
      : { kind: 'qty', qty: asked };
  }
  if (percentage === undefined) return { kind: 'qty', qty: size };
  const percent = readDecimal(percentage);
  if (percent === undefined || !isWithin(percent, HUNDRED)) {
    return { kind: 'refused', field: 'percentage', detail: 'The percentage must be above 0 and at most 100.' };
  }
  // Contracts do not divide, and the broker sells fractions of shares only where the position has some.
  const scale = assetClass === 'us_option' || isWhole(size) ? 0 : QTY_SCALE;
  const part = truncateDecimal(
    multiplyDecimals(multiplyDecimals(size, percent), HUNDREDTH),
    assetClass === 'crypto' ? QTY_SCALE : scale,
  );
  if (compareDecimals(part, ZERO) > 0) return { kind: 'qty', qty: part };
  return { kind: 'refused', field: 'percentage', detail: 'This part of the position is less than can be traded.' };
}

function freeOf(size: Decimal, position: BrokerOrder, reserved: Decimal | undefined): Decimal {
  if (reserved === undefined) return ZERO;
  const left = subtractDecimals(size, reserved);
  const byBroker = readDecimal(position['qty_available']);
  const free = byBroker !== undefined && compareDecimals(absolute(byBroker), left) < 0 ? absolute(byBroker) : left;
  return compareDecimals(free, ZERO) < 0 ? ZERO : free;
}

function isWithin(value: Decimal, most: Decimal): boolean {
  return compareDecimals(value, ZERO) > 0 && compareDecimals(value, most) <= 0;
}

function isWhole(size: Decimal): boolean {
  return compareDecimals(truncateDecimal(size, 0), size) === 0;
}
