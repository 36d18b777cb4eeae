import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { aSimulator } from '../../support/simulator.js';

let simulator: Simulator;

beforeEach(async () => {
  simulator = await aSimulator({ behaviour: { fills: 'instant' } });
});
afterEach(() => simulator.close());

interface Answered {
  readonly status: number;
  readonly body: any;
  readonly headers: Headers;
}

async function call(method: string, path: string, body?: unknown, account = 0): Promise<Answered> {
  const keys = simulator.accounts[account];
  const response = await fetch(simulator.url + path, {
    method,
    headers: { 'APCA-API-KEY-ID': keys?.apiKey ?? '', 'APCA-API-SECRET-KEY': keys?.secretKey ?? '' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text), headers: response.headers };
}

const market = { symbol: 'AAPL', qty: '10', side: 'buy', type: 'market', time_in_force: 'day' };
const limit = { ...market, type: 'limit', limit_price: '100.00' };

test('a market order fills and becomes a position', async () => {
  const { status, body } = await call('POST', '/v2/orders', market);
  const { body: positions } = await call('GET', '/v2/positions');

  expect(status).toBe(200);
  expect(body).toMatchObject({ status: 'filled', filled_qty: '10', qty: '10', symbol: 'AAPL' });
  expect(positions).toMatchObject([{ symbol: 'AAPL', qty: '10', side: 'long' }]);
});

test('a limit order below the market rests, keeps its text, and fills when the market comes', async () => {
  const { body: order } = await call('POST', '/v2/orders', limit);

  simulator.control.setPrice('AAPL', 99);

  expect(order).toMatchObject({ status: 'new', limit_price: '100.00' });
  expect((await call('GET', `/v2/orders/${order.id}`)).body.status).toBe('filled');
});

test('a client order id is taken for ever, also by a canceled order', async () => {
  const { body: order } = await call('POST', '/v2/orders', { ...limit, client_order_id: 'mine' });
  await call('DELETE', `/v2/orders/${order.id}`);

  const again = await call('POST', '/v2/orders', { ...limit, client_order_id: 'mine' });

  expect(again.status).toBe(422);
  expect(again.body).toEqual({ code: 40010001, message: 'client_order_id must be unique' });
  expect(simulator.control.orders({ clientOrderId: 'mine' })).toHaveLength(1);
});

test('a wrong key is refused', async () => {
  const response = await fetch(`${simulator.url}/v2/account`, { headers: { 'APCA-API-KEY-ID': 'x' } });

  expect(response.status).toBe(401);
  expect(await response.json()).toEqual({ code: 40110000, message: 'request is not authorized' });
});
