import { expect, test } from '@jest/globals';
import * as fc from 'fast-check';
import { closingOrder } from '../../../src/workers/orders/close-position.js';
import { readDecimal, ZERO } from '../../../src/kernel/domain/decimal.js';
import { instrumentOfSymbol } from '../../../src/kernel/domain/instrument.js';

const instrument = (symbol: string) => instrumentOfSymbol(symbol)!;

test('50 percent of 3 contracts are 1, 10 percent are less than can be traded', () => {
  const position = { symbol: 'AAPL271217C00100000', qty: '3' };
  const ask = (percentage: string) =>
    closingOrder(position, { instrument: instrument(position.symbol), part: { percentage }, reserved: ZERO });

  expect(ask('50')).toMatchObject({
    kind: 'order',
    body: { qty: '1', side: 'sell', position_intent: 'sell_to_close' },
  });
  expect(ask('10')).toMatchObject({ kind: 'refused', field: 'percentage' });
});

test('whatever is held, reserved and asked for, a close never exceeds what is free nor what was asked', () => {
  const amount = fc.integer({ min: 1, max: 5_000 }).map((thousandths) => (thousandths / 1_000).toString());
  const part = fc.oneof(
    fc.constant({}),
    amount.map((qty) => ({ qty })),
    fc.integer({ min: 1, max: 100 }).map((percent) => ({ percentage: String(percent) })),
  );
  fc.assert(
    fc.property(
      amount,
      fc.boolean(),
      amount,
      part,
      fc.constantFrom('AAPL', 'BTC/USD'),
      (held, isShort, reserved, asked, symbol) => {
        const position = { symbol, qty: isShort ? `-${held}` : held };
        const closing = closingOrder(position, {
          instrument: instrument(symbol),
          part: asked,
          reserved: readDecimal(reserved),
        });
        if (closing.kind !== 'order') return;
        const qty = Number(closing.body['qty']);
        expect(closing.body['side']).toBe(isShort ? 'buy' : 'sell');
        expect(qty).toBeGreaterThan(0);
        expect(qty).toBeLessThanOrEqual(Number(held) - Number(reserved) + 1e-9);
        if ('qty' in asked) expect(qty).toBe(Number(asked.qty));
        if ('percentage' in asked)
          expect(qty).toBeLessThanOrEqual((Number(held) * Number(asked.percentage)) / 100 + 1e-9);
      },
    ),
  );
});

test('reserved by an order of unknown size, nothing is free', () => {
  const asked = { instrument: instrument('AAPL'), part: {}, reserved: undefined };

  expect(closingOrder({ symbol: 'AAPL', qty: '3' }, asked)).toEqual({ kind: 'held', qty: '3', available: '0' });
});
