import { expect, test } from '@jest/globals';
import { readDecimal, ZERO } from '../../../src/kernel/domain/decimal.js';
import { PublishedFills, type OrderFill } from '../../../src/workers/accounts/published-fills.js';

const at = '2026-01-05T15:00:00.100Z';
const fill = (cumQty: string | undefined, qty: string, more: Partial<OrderFill> = {}): OrderFill => ({
  ...{ orderId: 'o', qty, price: '2', at },
  ...(cumQty !== undefined && { cumQty }),
  ...more,
});
const filled = (qty: string) => readDecimal(qty) ?? ZERO;

test('within the stream the execution id decides, although two fills carry one snapshot', () => {
  const published = new PublishedFills();
  published.note(fill('3', '1', { executionId: 'x1' }));

  expect(published.knows(fill('3', '1', { executionId: 'x1' }))).toBe(true);
  expect(published.knows(fill('3', '2', { executionId: 'x2' }))).toBe(false);
});

test('an activity is the fill of the stream with its sum, and the others are missing', () => {
  const published = new PublishedFills();
  published.note(fill('1', '1', { executionId: 'x1' }));
  published.note(fill('3', '1', { executionId: 'x3' }));

  const missing = published.missing('o', [fill('1', '1'), fill('2', '1'), fill('3', '1')], filled('3'));

  expect(missing.map(({ cumQty }) => cumQty)).toEqual(['2']);
});

test('where two fills carry one snapshot, quantity, price and time decide', () => {
  const published = new PublishedFills();
  published.note(fill('3', '1', { executionId: 'x1' }));

  const missing = published.missing('o', [fill('1', '1'), fill('3', '2')], filled('3'));

  expect(missing.map(({ cumQty }) => cumQty)).toEqual(['3']);
});

test('no more is missing than the order says it has filled', () => {
  const published = new PublishedFills();
  published.note(fill('2', '2', { executionId: 'x1' }));

  expect(published.missing('o', [fill('1', '1', { price: '3' }), fill('2', '1', { price: '4' })], filled('2'))).toEqual(
    [],
  );
});

test('the stream brings again what a repair published: it is known, by its own id from then on', () => {
  const published = new PublishedFills();
  published.note(fill('1', '1'));

  expect(published.knows(fill('1', '1', { executionId: 'x1' }))).toBe(true);
  expect(published.knows(fill('2', '1', { executionId: 'x2' }))).toBe(false);
});
