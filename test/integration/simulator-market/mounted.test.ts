/** The market half as the whole simulator serves it: one port, the master's key, the frame's budget, faults and counters. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { startSimulator, type Simulator } from '../../../src/simulator/simulator.js';
import { StreamClient } from '../../support/data-venue.js';

let simulator: Simulator;
beforeEach(async () => {
  simulator = await startSimulator({
    accounts: 1,
    clock: 'manual',
    dataRequestsPerMinute: 3,
    marketFaults: { plan: 'plus' },
  });
});
afterEach(() => simulator.close());

function get(path: string): Promise<Response> {
  const { apiKey, secretKey } = simulator.master;
  return fetch(simulator.endpoints.data + path, {
    headers: { 'APCA-API-KEY-ID': apiKey, 'APCA-API-SECRET-KEY': secretKey },
  });
}

const QUOTE = '/v2/stocks/AAPL/quotes/latest';

test('answers carry the budget, and the fourth request of a minute is answered 429', async () => {
  const first = await get(QUOTE);
  expect(first.status).toBe(200);
  expect(first.headers.get('x-ratelimit-limit')).toBe('3');
  expect(first.headers.get('x-ratelimit-remaining')).toBe('2');
  expect(first.headers.get('x-request-id')).toMatch(/^[0-9a-f]{32}$/);
  await get(QUOTE);
  await get(QUOTE);
  expect((await get(QUOTE)).status).toBe(429);
  simulator.control.advance(60_000);
  expect((await get(QUOTE)).status).toBe(200);
});

test('a switch makes the next data answer a 500 and the one after is right again', async () => {
  simulator.control.switchOn({ path: '/v2/stocks/*', count: 1, fault: { kind: 'status', status: 500 } });
  expect((await get(QUOTE)).status).toBe(500);
  const answer = (await (await get(QUOTE)).json()) as { quote: { bp: number } };
  expect(answer.quote.bp).toBe(simulator.market.quote('AAPL')!.bid);
});

test('streams are counted by feed and dropped through the control', async () => {
  const client = StreamClient.open(`${simulator.endpoints.streamData}/v2/sip`, 'msgpack');
  await client.login(simulator.master.apiKey, simulator.master.secretKey);
  await client.ask({ action: 'subscribe', trades: ['AAPL'] });
  simulator.control.setPrice('AAPL', 123.45);
  expect((await client.next())[0]).toMatchObject({ T: 't', S: 'AAPL', p: 123.45 });
  expect(simulator.control.counters().dataStreams['v2/sip']).toEqual({ opened: 1, open: 1 });

  simulator.control.dropStreams(undefined, true);

  expect(await client.closed).toBe(1006);
  expect(simulator.control.counters().dataStreams['v2/sip']).toEqual({ opened: 1, open: 0 });
});

test('a muted stream sends nothing until the switch is off', async () => {
  const client = StreamClient.open(`${simulator.endpoints.streamData}/v2/iex`, 'json');
  await client.login(simulator.master.apiKey, simulator.master.secretKey);
  await client.ask({ action: 'subscribe', trades: ['AAPL'] });
  const [id] = simulator.control.switchOn({ path: '/v2/iex', fault: { kind: 'stream-mute' } });
  simulator.control.setPrice('AAPL', 100);
  simulator.control.switchOff(id);
  simulator.control.setPrice('AAPL', 101);
  expect((await client.next())[0].p).toBe(101);
});
