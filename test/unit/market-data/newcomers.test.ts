import { expect, test } from '@jest/globals';
import { Newcomers } from '../../../src/workers/market-data/newcomers.js';
import { SubscriptionBook } from '../../../src/workers/market-data/subscription-book.js';

const LIMITS = { stock: 3, option: 3 };

test('what a successor takes over is no newcomer, what it subscribes itself later is one', () => {
  const book = new SubscriptionBook(LIMITS);
  const newcomers = new Newcomers();
  book.restore([['AAPL', 9]]);
  newcomers.takeOver(book);

  book.noteReads([
    ['AAPL', 9],
    ['MSFT', 9],
  ]);
  book.adapt();
  newcomers.sync(book);

  expect([newcomers.has('AAPL'), newcomers.has('MSFT')]).toEqual([false, true]);
});

test('a successor takes over the most read as far as the limit allows, and clients come first', () => {
  const book = new SubscriptionBook(LIMITS);

  book.restore([
    ['ONE', 1],
    ['FIVE', 5],
    ['NINE', 9],
    ['SEVEN', 7],
  ]);
  const before = [...book.symbols('quotes')].sort();
  const refused = book.want(0, { quotes: ['CLIENT'], trades: ['CLIENT'] });

  expect(before).toEqual(['FIVE', 'NINE', 'SEVEN']);
  expect(refused).toEqual({});
  expect([...book.symbols('quotes')].sort()).toEqual(['CLIENT', 'NINE']);
});
