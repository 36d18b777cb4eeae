/**
 * Closing a position as an order of our own: the broker's own way takes no client order id, so an answer that is lost
 * could never be looked up, and `percentage=50` sent twice sells 75 percent.
 */
import {
  absolute,
  compareDecimals,
  multiplyDecimals,
  printDecimal,
  readDecimal,
  truncateDecimal,
  ZERO,
} from './core/decimal.js';
import type { BrokerOrder } from './core/order-match.js';

const QTY_SCALE = 9;
const HUNDREDTH = { digits: 1n, scale: 2 };

export type ClosingOrder =
  | { readonly kind: 'order'; readonly body: BrokerOrder }
  | { readonly kind: 'refused'; readonly field: 'qty' | 'percentage'; readonly detail: string };

/** Exact: a percentage is cut, never rounded up, at the broker's nine decimals. */
export function closingOrder(
  position: BrokerOrder,
  part: { readonly qty?: string; readonly percentage?: string },
): ClosingOrder {
  const held = readDecimal(position['qty']) ?? ZERO;
  const size = absolute(held);
  let qty = size;
  if (part.qty !== undefined) {
    const asked = readDecimal(part.qty);
    if (asked === undefined || compareDecimals(asked, ZERO) <= 0 || compareDecimals(asked, size) > 0) {
      return {
        kind: 'refused',
        field: 'qty',
        detail: `The quantity must be above 0 and at most ${printDecimal(size)}.`,
      };
    }
    qty = asked;
  } else if (part.percentage !== undefined) {
    const asked = readDecimal(part.percentage);
    if (
      asked === undefined ||
      compareDecimals(asked, ZERO) <= 0 ||
      compareDecimals(asked, { digits: 100n, scale: 0 }) > 0
    ) {
      return { kind: 'refused', field: 'percentage', detail: 'The percentage must be above 0 and at most 100.' };
    }
    qty = truncateDecimal(
      multiplyDecimals(multiplyDecimals(size, asked), HUNDREDTH),
      isWhole(position) ? 0 : QTY_SCALE,
    );
  }
  if (compareDecimals(qty, ZERO) <= 0) {
    return { kind: 'refused', field: 'percentage', detail: 'This part of the position is less than can be traded.' };
  }
  return {
    kind: 'order',
    body: {
      symbol: position['symbol'],
      qty: printDecimal(qty),
      side: compareDecimals(held, ZERO) < 0 ? 'buy' : 'sell',
      type: 'market',
      time_in_force: position['asset_class'] === 'crypto' ? 'gtc' : 'day',
    },
  };
}

/** Contracts do not divide. */
function isWhole(position: BrokerOrder): boolean {
  return position['asset_class'] === 'us_option';
}
