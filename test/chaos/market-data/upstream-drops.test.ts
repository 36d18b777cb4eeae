/**
 * The broker's data socket breaks again and again under a rushing market. Six times here, 200 times in
 * `npm run chaos -- upstream-drops`.
 */
import { afterEach, expect, test } from '@jest/globals';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { eventually } from '../../support/eventually.js';
import { bodyOf, MarketWorkers } from '../../support/market-workers.js';
import { aSimulator } from '../../support/simulator.js';
import { SimulatedPools } from '../../support/upstream-pools.js';

const DROPS = process.env['OPITIOS_LONG'] === '1' ? 200 : 6;
const DROP_MS_MAX = 20_000;
const SYMBOLS = Array.from({ length: 25 }, (_, index) => `SIM${String.fromCharCode(65 + index)}`);

let simulator: Simulator;
let pools: SimulatedPools;
let workers: MarketWorkers;

afterEach(async () => {
  await workers.close();
  await pools.close();
  await simulator.close();
});

test(
  `after each of ${String(DROPS)} lost sockets every subscription is back, and at the end every value is the broker’s`,
  async () => {
    simulator = await aSimulator({ symbols: SYMBOLS, ticksPerSecond: 400 });
    workers = new MarketWorkers({ settings: { quoteMaxAgeMs: -1 } });
    workers.start(0);
    const reader = workers.start(1);
    pools = new SimulatedPools(simulator, new SystemClock());
    workers.makeHub(0, pools.accounts(simulator.accounts.slice(0, 1)));
    const heard = new Set<string>();
    reader.feed.onRecords((records) => {
      for (const { symbol, json } of records) if (json.includes('"source":"stream"')) heard.add(symbol);
    });
    await reader.feed.subscribe('quotes', SYMBOLS);
    const isBack = (): boolean =>
      heard.size === SYMBOLS.length && SYMBOLS.every((symbol) => reader.door.quoteNow(symbol) !== undefined);
    await eventually('every symbol streams', isBack, DROP_MS_MAX);

    for (let drop = 0; drop < DROPS; drop += 1) {
      expect(simulator.control.dropStreams(undefined, drop % 2 === 0)).toBeGreaterThan(0);
      await eventually('the loss is noticed', () => reader.door.quoteNow('SIMA') === undefined, DROP_MS_MAX);
      heard.clear();
      await eventually(`every symbol streams after drop ${String(drop)}`, isBack, DROP_MS_MAX);
    }

    simulator.market.ticker.setRate(0);
    for (const symbol of SYMBOLS) {
      const theirs = (): unknown[] => [simulator.market.quote(symbol)?.bid, simulator.market.quote(symbol)?.ask];
      const ours = (): unknown[] => {
        const body = bodyOf(reader.door.quoteNow(symbol));
        return [body['bid_price'], body['ask_price']];
      };
      await eventually(`${symbol} is right`, () => JSON.stringify(ours()) === JSON.stringify(theirs()), DROP_MS_MAX);
    }
  },
  DROPS * DROP_MS_MAX,
);
