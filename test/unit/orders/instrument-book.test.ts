import { expect, test } from '@jest/globals';
import { InstrumentBook } from '../../../src/workers/orders/instruments/instrument-book.js';
import { answered, NOT_FOUND, ScriptedSession } from '../../support/order-desk.js';

const ADJUSTED = 'AAPL1271217C00100000';
const ID = 'dddddddd-dddd-4ddd-8ddd-dddddddddddd';

test('a contract of an adjusted root that was named by its id is known by its symbol too', async () => {
  const session = new ScriptedSession(({ path }) =>
    path.startsWith('/v2/assets/')
      ? NOT_FOUND
      : answered(200, { id: ID, symbol: ADJUSTED, underlying_symbol: 'AAPL', multiplier: '150' }),
  );
  const book = new InstrumentBook();

  const [first] = await Promise.all([book.resolve(ID, session), book.resolve(ID.toUpperCase(), session)]);

  expect(first).toMatchObject({ kind: 'instrument', instrument: { key: ADJUSTED, underlying: 'AAPL' } });
  expect(book.known(ADJUSTED)).toBe(book.known(ID));
  expect(book.known(ADJUSTED)?.multiplier).toEqual({ digits: 150n, scale: 0 });
  expect(session.calls.map(({ path }) => path)).toEqual([`/v2/assets/${ID}`, `/v2/options/contracts/${ID}`]);
});
