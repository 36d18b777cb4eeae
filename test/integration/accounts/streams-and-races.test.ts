/** Data streams tell why they end; an answer that a fill overtook is not shown as the newest. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { openDataStream, type OpenDataStream } from '../../../src/workers/alpaca/data-stream.js';
import { TradeStream } from '../../../src/workers/alpaca/trade-stream.js';
import { answered, BrokerAccounts, BUY, postOrder } from '../../support/broker-accounts.js';
import { eventually } from '../../support/eventually.js';
import { aSimulator } from '../../support/simulator.js';

let simulator: Simulator;
let accounts: BrokerAccounts;
let stream: OpenDataStream | undefined;

beforeEach(async () => {
  simulator = await aSimulator();
  accounts = new BrokerAccounts(simulator);
});
afterEach(async () => {
  stream?.close();
  await accounts.close();
  await simulator.close();
});

interface Heard {
  readonly ends: { readonly code?: number; readonly detail: string }[];
  isReady: boolean;
  frames: number;
}

function open(url: string, secretKey = simulator.master.secretKey): Heard {
  const heard: Heard = { ends: [], isReady: false, frames: 0 };
  const keys = { keyId: simulator.master.apiKey, secretKey };
  const options = { url, keys, openTimeoutMs: 2_000, pingIntervalMs: 1_000 };
  stream = openDataStream(
    options,
    {
      onReady: () => (heard.isReady = true),
      onFrame: () => (heard.frames += 1),
      onEnd: (end) => heard.ends.push(end),
    },
    new SystemClock(),
  );
  return heard;
}

test('a data stream streams, and its end by a dropped connection is told once without a code', async () => {
  const heard = open(`${simulator.endpoints.streamData}/v2/iex`);
  await eventually('it is ready', () => heard.isReady);
  const before = heard.frames;
  stream?.subscribe({ quotes: ['AAPL'] });
  await eventually('the subscription is confirmed', () => heard.frames > before);
  const confirmed = heard.frames;
  simulator.control.setPrice('AAPL', 123);
  await eventually('a quote came', () => heard.frames > confirmed);

  simulator.control.dropStreams();
  await eventually('the end is told', () => heard.ends.length > 0);

  expect(heard.ends).toHaveLength(1);
  expect(heard.ends[0]?.code).toBeUndefined();
});

test('refused keys and a used up connection limit are told with the broker’s code', async () => {
  const refused = open(`${simulator.endpoints.streamData}/v2/iex`, 'wrong');
  await eventually('the end is told', () => refused.ends.length > 0);
  simulator.control.setMarketFaults({ connectionLimitForMs: 60_000 });
  const limited = open(`${simulator.endpoints.streamData}/v2/iex`);
  await eventually('the end is told', () => limited.ends.length > 0);

  expect([refused.ends[0]?.code, limited.ends[0]?.code]).toEqual([402, 406]);
});

test('an address that is none ends a stream instead of hanging or throwing', async () => {
  const heard = open('no address');
  const downs: string[] = [];
  const trades = new TradeStream(
    {
      ...{ url: 'no address', keys: { keyId: 'a', secretKey: 'b' }, openTimeoutMs: 60_000, pingIntervalMs: 1_000 },
      ...{ backOffMinMs: 5, backOffMaxMs: 10 },
    },
    {
      onUp: () => undefined,
      onAlive: () => undefined,
      onUpdate: () => undefined,
      onDown: ({ detail }) => downs.push(detail),
    },
    new SystemClock(),
    () => 0.5,
  );
  await eventually('both are told', () => heard.ends.length === 1 && downs.length > 1);
  await trades.close();
});

test('an answer that was asked for before a fill and came after it is not shown as the newest', async () => {
  const { session, heard } = await accounts.started();
  simulator.control.switchOn({ path: '/v2/positions', count: 1, fault: { kind: 'latency', ms: 300 } });
  const slow = session.read({ resource: 'positions' }, { fresh: true }, { deadlineMs: 5_000 });
  await session.send(postOrder(BUY));
  await eventually('the fill is heard', () => heard.some(({ event }) => event === 'fill'));
  await slow;

  const next = answered(await session.read({ resource: 'positions' }, { fresh: false }, { deadlineMs: 5_000 }));

  expect(next.source).toBe('broker');
  expect(next.json).toMatchObject([{ symbol: 'AAPL', qty: '10' }]);
});

test('a listener that throws stops neither the others nor the session', async () => {
  const session = accounts.session();
  const events: string[] = [];
  session.onTradeUpdate(() => {
    throw new TypeError('a listener');
  });
  session.onState(() => {
    throw new TypeError('a listener');
  });
  session.onTradeUpdate(({ event }) => events.push(event));
  session.start();
  await session.tried;

  await session.send(postOrder(BUY));
  await eventually('the fill is heard', () => events.includes('fill'));

  expect(session.state()).toBe('ready');
});
