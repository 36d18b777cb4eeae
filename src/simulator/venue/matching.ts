/**
 * Does the market fill this order now, and at what price? Reads the tape, moves the water mark of a trailing stop, and
 * changes nothing else.
 */
import { multiply, ONE, parseNano, textOf, type Nano } from './decimal.js';
import type { Order } from './order.js';
import type { Tape } from './tape.js';

/** Per share; for a multi-leg order the net of its legs, debit positive. undefined: not now. */
export function fillPrice(order: Order, tape: Tape): Nano | undefined {
  if (order.terms.orderClass === 'mleg') return netFill(order, tape);
  const quote = tape.quote(order.terms.symbol);
  if (quote === undefined) return undefined;
  const touch = order.terms.side === 'buy' ? quote.ask : quote.bid;
  if (touch <= 0n) return undefined;
  if (!order.triggered && order.terms.type.includes('stop') && !isTriggered(order, tape, touch)) return undefined;
  const limit = order.terms.limitPrice === null ? undefined : parseNano(order.terms.limitPrice);
  if (limit === undefined) return touch;
  const isMarketable = order.terms.side === 'buy' ? touch <= limit : touch >= limit;
  return isMarketable ? touch : undefined;
}

function isTriggered(order: Order, tape: Tape, touch: Nano): boolean {
  const last = tape.last(order.terms.symbol) ?? touch;
  const stop = order.terms.type === 'trailing_stop' ? trail(order, last) : parseNano(order.terms.stopPrice ?? '');
  if (stop === undefined) return false;
  order.triggered = order.terms.side === 'sell' ? last <= stop : last >= stop;
  return order.triggered;
}

/** Moves the water mark with the market and answers where the stop now stands. */
function trail(order: Order, last: Nano): Nano | undefined {
  const { trailPrice, trailPercent, side } = order.terms;
  const isSell = side === 'sell';
  if (order.hwm === null || (isSell ? last > order.hwm : last < order.hwm)) order.hwm = last;
  const percent = trailPercent === null ? undefined : parseNano(trailPercent);
  const distance = percent === undefined ? parseNano(trailPrice ?? '') : multiply(order.hwm, percent) / 100n;
  if (distance === undefined) return undefined;
  const stop = isSell ? order.hwm - distance : order.hwm + distance;
  order.terms = { ...order.terms, stopPrice: textOf(stop - (stop % (ONE / 10_000n))) };
  return stop;
}

function netFill(order: Order, tape: Tape): Nano | undefined {
  let net = 0n;
  for (const leg of order.legs) {
    const price = legPrice(leg, tape);
    if (price === undefined) return undefined;
    net += price * BigInt(leg.terms.ratioQty ?? '1') * (leg.terms.side === 'buy' ? 1n : -1n);
  }
  const limit = order.terms.limitPrice === null ? undefined : parseNano(order.terms.limitPrice);
  return limit === undefined || net <= limit ? net : undefined;
}

/** One leg of a multi-leg order trades at the far side of its own quote. */
export function legPrice(leg: Order, tape: Tape): Nano | undefined {
  const quote = tape.quote(leg.terms.symbol);
  return leg.terms.side === 'buy' ? quote?.ask : quote?.bid;
}
