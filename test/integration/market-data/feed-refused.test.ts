import { afterEach, expect, test } from '@jest/globals';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import type { MarketData } from '../../../src/workers/market-data/market-data.js';
import { bodyOf, CONTEXT, MarketWorkers } from '../../support/market-workers.js';
import { aSimulator } from '../../support/simulator.js';
import { SimulatedPools } from '../../support/upstream-pools.js';

let simulator: Simulator;
let pools: SimulatedPools;
let workers: MarketWorkers;

afterEach(async () => {
  await workers.close();
  await pools.close();
  await simulator.close();
});

async function start(feed: string): Promise<MarketData> {
  simulator = await aSimulator({ symbols: ['SIMA'], ticksPerSecond: 100 });
  simulator.control.setMarketFaults({ plan: 'basic' });
  workers = new MarketWorkers({ settings: { feed, quoteMaxAgeMs: -1 } });
  const reader = workers.start(0);
  pools = new SimulatedPools(simulator, new SystemClock());
  workers.makeHub(0, pools.accounts(simulator.accounts.slice(0, 1)));
  return reader;
}

test('a configured feed that the plan does not allow is refused in so many words, and never answered from another', async () => {
  const reader = await start('sip');
  await reader.feed.subscribe('quotes', ['SIMA']);

  const answer = await reader.door.execute({ kind: 'stock-quote', symbol: 'SIMA' }, CONTEXT);

  expect(answer).toMatchObject({
    kind: 'problem',
    problem: {
      code: 'market-data-unavailable',
      detail: expect.stringContaining('plan does not allow the configured feed'),
      alpaca: { status: 403, message: 'subscription does not permit querying recent SIP data' },
    },
  });
  expect(reader.door.quoteNow('SIMA')).toBeUndefined();
});

test('a caller who asks for a feed beyond the plan is refused, and the key goes on serving the allowed one', async () => {
  const reader = await start('iex');

  const refused = await reader.door.execute({ kind: 'stock-quote', symbol: 'SIMA', feed: 'sip' }, CONTEXT);
  const served = await reader.door.execute({ kind: 'stock-quote', symbol: 'SIMA' }, CONTEXT);

  expect(refused).toMatchObject({ kind: 'problem', problem: { alpaca: { status: 403 } } });
  expect(bodyOf(served)).toMatchObject({ symbol: 'SIMA', feed: 'iex', source: 'rest' });
});
