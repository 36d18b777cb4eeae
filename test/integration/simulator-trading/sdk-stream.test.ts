/** The official SDK's TradingStream, unmodified: authentication, updates, reconnection, refusal. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { EventEmitter, once } from 'node:events';
import { streaming } from '@alpacahq/alpaca-trade-api';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { aSimulator } from '../../support/simulator.js';
import { Caller } from '../../support/simulator-caller.js';

let simulator: Simulator;
let stream: streaming.TradingStream;
/** Everything the SDK reports, as awaitable events. */
let seen: EventEmitter;

beforeEach(async () => {
  simulator = await aSimulator();
  seen = new EventEmitter();
});
afterEach(async () => {
  stream.disconnect();
  await simulator.close();
});

function connect(keyId: string, secretKey: string): void {
  stream = new streaming.TradingStream({
    credentials: { keyId, secret: secretKey },
    url: simulator.endpoints.streamTrading,
  });
  stream.onTradeUpdate((update) => seen.emit(`update:${update.event}`, update));
  stream.on(streaming.EVENT.SUBSCRIPTION, (streams: unknown) => seen.emit('listening', streams));
  stream.on(streaming.EVENT.CLIENT_ERROR, (error: unknown) => seen.emit('refused', error));
  stream.subscribeTradeUpdates();
  stream.connect();
}

const signal = (): { signal: AbortSignal } => ({ signal: AbortSignal.timeout(8_000) });

test('the SDK authenticates, listens and receives a fill', async () => {
  const { apiKey, secretKey } = simulator.accounts[0]!;
  connect(apiKey, secretKey);
  const [streams] = await once(seen, 'listening', signal());
  const filled = once(seen, 'update:fill', signal());

  await new Caller(simulator.url, simulator.accounts[0]!).post('/v2/orders', {
    symbol: 'AAPL',
    qty: '3',
    side: 'buy',
    type: 'market',
    time_in_force: 'day',
  });

  const [update] = await filled;
  expect(streams).toEqual(['trade_updates']);
  expect(update).toMatchObject({ event: 'fill', qty: '3', order: { symbol: 'AAPL', status: 'filled' } });
});

test('the SDK comes back after a cut and listens again', async () => {
  const { apiKey, secretKey } = simulator.accounts[0]!;
  connect(apiKey, secretKey);
  await once(seen, 'listening', signal());
  const again = once(seen, 'listening', signal());

  simulator.control.dropStreams();

  expect((await again)[0]).toEqual(['trade_updates']);
  expect(simulator.control.counters().tradeStreamsTotal.opened).toBe(2);
});

test('the SDK is refused with a wrong key and says so', async () => {
  const refused = once(seen, 'refused', signal());
  connect('PKWRONG', 'wrong');

  expect(String((await refused)[0])).toContain('auth');
});
