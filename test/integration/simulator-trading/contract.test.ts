/** Every answer of the trading host has the broker's shape: checked against the schemas in test/payloads/trading. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { readFileSync } from 'node:fs';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { aSimulator } from '../../support/simulator.js';
import { Caller, StreamProbe } from '../../support/simulator-caller.js';

const read = (name: string): any =>
  JSON.parse(readFileSync(new URL(`../../payloads/trading/${name}.json`, import.meta.url), 'utf8'));

const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);
ajv.addSchema(read('schemas'));

/** Empty when the value has the shape; otherwise what is wrong with it. */
function faults(name: string, value: unknown): readonly unknown[] {
  const validate = ajv.getSchema(`trading#/$defs/${name}`);
  if (validate === undefined) return [`no schema ${name}`];
  return validate(value) === true ? [] : (validate.errors ?? []);
}

let simulator: Simulator;
let caller: Caller;
let probe: StreamProbe;
let orderId: string;
let occ: string;

beforeAll(async () => {
  simulator = await aSimulator({ optionUnderlyings: [{ underlying: 'AAPL', contracts: 40, expirations: 2 }] });
  caller = new Caller(simulator.url, simulator.accounts[0]!);
  probe = await StreamProbe.listen(simulator.endpoints.streamTrading, simulator.accounts[0]!);
  occ = simulator.market.contracts({}).at(-1)!.symbol;
  const buy = { symbol: 'AAPL', qty: '2', side: 'buy', type: 'market', time_in_force: 'day' };
  orderId = (await caller.post('/v2/orders', buy)).body.id;
  await caller.post('/v2/orders', { ...buy, symbol: occ, qty: '1' });
  const bracket = { order_class: 'bracket', take_profit: { limit_price: '30' }, stop_loss: { stop_price: '10' } };
  await caller.post('/v2/orders', { ...buy, ...bracket, symbol: 'MSFT', type: 'limit', limit_price: '20' });
  await probe.until(() => probe.events().filter((event) => event === 'fill').length === 2);
});
afterAll(async () => {
  probe.socket.terminate();
  await simulator.close();
});

test('the schemas accept the samples, so they describe the broker and not only the simulator', () => {
  expect(faults('order', read('order'))).toEqual([]);
  expect(faults('trade_update', read('trade-update').data)).toEqual([]);
  expect(faults('error', read('refusal'))).toEqual([]);
});

test('the schemas refuse amounts that are numbers and statuses that do not exist', () => {
  expect(faults('order', { ...read('order'), qty: 8 })).not.toEqual([]);
  expect(faults('order', { ...read('order'), status: 'open' })).not.toEqual([]);
});

test.each([
  ['account', '/v2/account'],
  ['configuration', '/v2/account/configurations'],
  ['portfolio_history', '/v2/account/portfolio/history?period=1W&timeframe=1D'],
  ['position', '/v2/positions/AAPL'],
  ['asset', '/v2/assets/AAPL'],
  ['clock', '/v2/clock'],
])('one %s', async (name, path) => {
  const { status, body } = await caller.get(path);

  expect(status).toBe(200);
  expect(faults(name, body)).toEqual([]);
});

test.each([
  ['order', '/v2/orders?status=all&nested=true'],
  ['order', '/v2/orders?status=all'],
  ['position', '/v2/positions'],
  ['asset', '/v2/assets'],
  ['fill_activity', '/v2/account/activities'],
  ['calendar_day', '/v2/calendar?start=2026-01-01&end=2026-03-01'],
])('every %s of %s', async (name, path) => {
  const { body } = await caller.get(path);

  expect(body.length).toBeGreaterThan(0);
  expect(body.flatMap((row: unknown) => faults(name, row))).toEqual([]);
});

test('option contracts, in pages', async () => {
  const { body: page } = await caller.get('/v2/options/contracts?expiration_date_gte=2020-01-01&limit=25');
  const { body: next } = await caller.get(
    `/v2/options/contracts?expiration_date_gte=2020-01-01&limit=25&page_token=${page.next_page_token}`,
  );

  expect(page.option_contracts).toHaveLength(25);
  expect(page.option_contracts.flatMap((row: unknown) => faults('contract', row))).toEqual([]);
  expect(next.option_contracts[0].symbol).not.toBe(page.option_contracts[0].symbol);
  expect(faults('contract', (await caller.get(`/v2/options/contracts/${occ}`)).body)).toEqual([]);
});

test('orders found by either id, and every trade update', async () => {
  const { body } = await caller.get(`/v2/orders/${orderId}`);
  const id = encodeURIComponent(body.client_order_id);
  const { body: same } = await caller.get(`/v2/orders:by_client_order_id?client_order_id=${id}`);

  expect(faults('order', same)).toEqual([]);
  expect(same.id).toBe(orderId);
  expect(probe.updates().flatMap((update) => faults('trade_update', update))).toEqual([]);
});

test.each([
  ['/v2/orders/none', 404, 'order not found for none'],
  ['/v2/positions/TSLA', 404, 'position does not exist'],
  ['/v2/assets/ZZZZZ', 404, 'asset not found for ZZZZZ'],
  ['/v2/options/contracts/ZZZ250117C00190000', 404, 'option contract ZZZ250117C00190000 not found'],
  ['/v2/orders?limit=0', 422, 'limit must be between 1 and 500'],
])('%s answers %i with the error envelope', async (path, status, message) => {
  const answer = await caller.get(path);

  expect(answer.status).toBe(status);
  expect(faults('error', answer.body)).toEqual([]);
  expect(answer.body.message).toBe(message);
});
