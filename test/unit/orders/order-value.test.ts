/** The worst-case value of an order against an independent function in plain numbers. */
import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { printDecimal, readDecimal } from '../../../src/kernel/domain/decimal.js';
import { instrumentOfSymbol } from '../../../src/kernel/domain/instrument.js';
import { valueOf } from '../../../src/workers/orders/risk/order-value.js';
import { viewOrder } from '../../../src/workers/orders/risk/order-view.js';

const BID = 99;
const ASK = 101;

function valued(body: Readonly<Record<string, unknown>>, quoted = true): number | 'no-quote' {
  const view = viewOrder(body, (name) => instrumentOfSymbol(name))!;
  const quote = quoted ? { bid: readDecimal(BID), ask: readDecimal(ASK) } : undefined;
  const found = valueOf(view, () => quote);
  return found.kind === 'value' ? Number(printDecimal(found.value)) : 'no-quote';
}

interface Plain {
  readonly symbol: string;
  readonly side: 'buy' | 'sell';
  readonly type: string;
  readonly qty: string;
  readonly limit_price: string;
  readonly stop_price: string;
  readonly trail_price: string;
}

/** Written from the table in docs/order-protocol.md, not from the code. */
function expected({ symbol, side, type, qty, limit_price, stop_price, trail_price }: Plain): number {
  const units = Number(qty) * (symbol.length > 6 ? 100 : 1);
  const [limit, stop, trail] = [Number(limit_price), Number(stop_price), Number(trail_price)];
  const table: Record<string, number> = {
    'buy limit': limit,
    'sell limit': Math.max(limit, BID),
    'buy market': ASK,
    'sell market': BID,
    'buy stop': Math.max(stop, ASK),
    'sell stop': BID,
    'buy stop_limit': limit,
    'sell stop_limit': limit,
    'buy trailing_stop': ASK + trail,
    'sell trailing_stop': BID,
  };
  return units * (table[`${side} ${type}`] ?? Number.NaN);
}

const price = fc.integer({ min: 1, max: 400 }).map(String);
const plain: fc.Arbitrary<Plain> = fc.record({
  symbol: fc.constantFrom('AAPL', 'BRK.B', 'AAPL271217C00100000', 'aapl'),
  side: fc.constantFrom('buy' as const, 'sell' as const),
  type: fc.constantFrom('limit', 'market', 'stop', 'stop_limit', 'trailing_stop'),
  qty: fc.integer({ min: 1, max: 50 }).map(String),
  limit_price: price,
  stop_price: price,
  trail_price: price,
});

test('plain orders of every type and side, whatever other prices they carry', () => {
  fc.assert(
    fc.property(plain, (order) => expect(valued({ ...order })).toBeCloseTo(expected(order), 6)),
    { numRuns: 500 },
  );
});

test('a quote that is needed and not there is named, one that is not needed is not asked for', () => {
  const order = { symbol: 'AAPL', qty: '1', limit_price: '5' };

  expect(valued({ ...order, side: 'buy', type: 'limit' }, false)).toBe(5);
  expect(valued({ ...order, side: 'sell', type: 'limit' }, false)).toBe('no-quote');
  expect(valued({ ...order, side: 'buy', type: 'market' }, false)).toBe('no-quote');
});

test('the ways out of a bracket, an OCO and an OTO count with the largest', () => {
  const exits = { take_profit: { limit_price: '300' }, stop_loss: { stop_price: '50', limit_price: '49' } };
  const entry = { symbol: 'AAPL', qty: '2', side: 'buy', type: 'limit', limit_price: '100' };

  expect(valued({ ...entry, order_class: 'bracket', ...exits })).toBe(600);
  expect(valued({ ...entry, order_class: 'oto', stop_loss: { stop_price: '50' } })).toBe(200);
  expect(valued({ ...entry, side: 'sell', order_class: 'oco', limit_price: undefined, ...exits }, false)).toBe(600);
});

interface Leg {
  readonly strike: number;
  readonly type: 'C' | 'P';
  readonly side: 'buy' | 'sell';
}

/** Loss at expiration over a fine grid of prices; above the last strike the slope decides. */
function lossOf(legs: readonly Leg[]): number {
  const payoff = (at: number): number =>
    legs.reduce((sum, { strike, type, side }) => {
      const inside = Math.max(0, type === 'C' ? at - strike : strike - at);
      return sum + (side === 'buy' ? inside : -inside);
    }, 0);
  const shorts = legs.reduce((sum, { strike, side }) => sum + (side === 'sell' ? strike : 0), 0);
  if (payoff(2_000) < payoff(1_000)) return shorts;
  return Math.max(0, ...Array.from({ length: 101 }, (_, at) => -payoff(at * 5)));
}

test('a multi-leg order is worth the larger of its net price and what its legs can lose', () => {
  const leg: fc.Arbitrary<Leg> = fc.record({
    strike: fc.integer({ min: 1, max: 40 }).map((fives) => fives * 5),
    type: fc.constantFrom('C' as const, 'P' as const),
    side: fc.constantFrom('buy' as const, 'sell' as const),
  });
  const legs = fc.array(leg, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(legs, fc.integer({ min: -50, max: 50 }), fc.integer({ min: 1, max: 9 }), (parts, net, qty) => {
      const body = {
        ...{ order_class: 'mleg', type: 'limit', qty: String(qty), limit_price: String(net) },
        legs: parts.map(({ strike, type, side }) => ({
          ...{ symbol: `AAPL271217${type}${String(strike * 1_000).padStart(8, '0')}`, ratio_qty: '1', side },
          position_intent: `${side}_to_open`,
        })),
      };
      expect(valued(body, false)).toBe(100 * qty * Math.max(Math.abs(net), lossOf(parts)));
    }),
    { numRuns: 500 },
  );
});
