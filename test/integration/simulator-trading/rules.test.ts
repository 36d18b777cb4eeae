/** The broker's refusals, each with its own status, code and extra fields. */
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { aSimulator } from '../../support/simulator.js';
import { Caller } from '../../support/simulator-caller.js';

let simulator: Simulator;
let caller: Caller;
let accountId: string;
let call: string;
let put: string;

beforeAll(async () => {
  simulator = await aSimulator({
    accounts: 0,
    behaviour: { fills: 'instant' },
    optionUnderlyings: [{ underlying: 'AAPL', contracts: 60, expirations: 3 }],
  });
  const contracts = simulator.market.contracts({ underlyings: ['AAPL'] });
  const later = contracts.at(-1)!.expiration_date;
  call = contracts.find((contract) => contract.type === 'call' && contract.expiration_date === later)!.symbol;
  put = contracts.find((contract) => contract.type === 'put' && contract.expiration_date === later)!.symbol;
});
afterAll(() => simulator.close());
// A fresh account each time: rules look at what an account already has.
beforeEach(() => {
  const keys = simulator.control.addAccount();
  accountId = keys.accountId;
  caller = new Caller(simulator.url, keys);
  simulator.control.setPrice('AAPL', 200);
});

const market = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
const limit = { ...market, type: 'limit', limit_price: '100' };
const bracket = {
  ...limit,
  order_class: 'bracket',
  stop_loss: { stop_price: '90' },
  take_profit: { limit_price: '120' },
};
const noStop = { ...bracket, stop_loss: undefined };
const noProfit = { ...bracket, take_profit: undefined };
const noQty = { ...market, qty: undefined };

test.each([
  ['no size', noQty, 'qty or notional is required'],
  ['two sizes', { ...market, notional: '5' }, 'only one of qty or notional is accepted'],
  ['no symbol', { ...market, symbol: undefined }, 'symbol is required'],
  ['no type', { ...market, type: undefined }, 'type is required'],
  ['a type of its own', { ...market, type: 'peg' }, 'invalid order type'],
  ['an unknown time in force', { ...market, time_in_force: 'gtd' }, 'invalid time_in_force'],
  ['an unknown side', { ...market, side: 'short' }, 'invalid side'],
  ['a negative quantity', { ...market, qty: '-1' }, 'qty must be > 0'],
  ['ten decimals', { ...market, qty: '1.0000000001' }, 'invalid qty'],
  ['a long client order id', { ...market, client_order_id: 'x'.repeat(129) }, expect.stringContaining('128')],
  ['a limit order without a price', { ...limit, limit_price: undefined }, 'limit orders require a limit price'],
  ['a bracket without profit', noProfit, 'bracket orders require take_profit.limit_price'],
  ['a bracket without stop', noStop, 'bracket orders require stop_loss.stop_price'],
  ['a multi-leg order with a symbol', { ...market, order_class: 'mleg' }, 'symbol is not allowed for mleg order'],
])('422/40010001: %s', async (_name, body, message) => {
  const answer = await caller.post('/v2/orders', body);

  expect(answer.status).toBe(422);
  expect(answer.body).toEqual({ code: 40010001, message });
});

test.each([
  ['an unknown asset', { ...market, symbol: 'NOPE' }, 'asset "NOPE" not found'],
  ['a sub-penny limit', { ...limit, limit_price: '100.123' }, expect.stringContaining('sub-penny increment')],
  ['a fractional gtc order', { ...limit, qty: '0.5', time_in_force: 'gtc' }, 'fractional orders must be DAY orders'],
  ['a fractional bracket', { ...bracket, qty: '0.5' }, 'fractional orders must be simple orders'],
  [
    'a stop above the market',
    { ...market, side: 'sell', type: 'stop', stop_price: '300' },
    expect.stringContaining('less than'),
  ],
  ['an extended market order', { ...market, extended_hours: true }, 'extended hours order must be DAY limit orders'],
])('422/42210000: %s', async (_name, body, message) => {
  const answer = await caller.post('/v2/orders', body);

  expect(answer.status).toBe(422);
  expect(answer.body).toMatchObject({ code: 42210000, message });
});

test.each([
  ['a fraction', { qty: '0.5' }, 'qty must be integer for options trading'],
  ['a gtc order', { time_in_force: 'gtc' }, 'invalid option time_in_force'],
  ['a stop order', { type: 'stop', stop_price: '1' }, 'invalid order type for options trading'],
  [
    'extended hours',
    { type: 'limit', limit_price: '1', extended_hours: true },
    'extended hours is not supported for options trading',
  ],
  [
    'a wrong intent',
    { position_intent: 'buy_to_close' },
    'position intent mismatch, inferred: buy_to_open, specified: buy_to_close',
  ],
])('options refuse %s with 422/42210000', async (_name, change, message) => {
  const answer = await caller.post('/v2/orders', { ...market, symbol: call, ...change });

  expect(answer.body).toEqual({ code: 42210000, message });
});

test('a contract that does not exist is not found', async () => {
  const answer = await caller.post('/v2/orders', { ...market, symbol: 'AAPL200117C00100000' });

  expect(answer.body).toEqual({ code: 42210000, message: 'contract "AAPL200117C00100000" not found' });
});

test('403: more than the buying power is refused with both amounts', async () => {
  const answer = await caller.post('/v2/orders', { ...limit, qty: '2001' });

  expect(answer.status).toBe(403);
  expect(answer.body).toEqual({
    code: 40310000,
    message: 'insufficient buying power',
    buying_power: '200000',
    cost_basis: '200100',
  });
});

test('403: working orders use up buying power until they end', async () => {
  const { body: first } = await caller.post('/v2/orders', { ...limit, qty: '1500' });
  const refused = await caller.post('/v2/orders', { ...limit, qty: '1000' });
  await caller.call('DELETE', `/v2/orders/${first.id}`);
  const taken = await caller.post('/v2/orders', { ...limit, qty: '1000' });

  expect([refused.status, refused.body.buying_power]).toEqual([403, '50000']);
  expect(taken.status).toBe(200);
});

test('403: selling more than is available tells what is there and who holds it', async () => {
  simulator.control.setPosition(accountId, 'AAPL', '17', '150');
  const { body: holder } = await caller.post('/v2/orders', { ...limit, side: 'sell', qty: '13', limit_price: '300' });

  const answer = await caller.post('/v2/orders', { ...market, side: 'sell', qty: '10' });

  expect(answer.status).toBe(403);
  expect(answer.body).toEqual({
    code: 40310000,
    message: 'insufficient qty available for order (requested: 10, available: 4)',
    available: '4',
    existing_qty: '17',
    held_for_orders: '13',
    related_orders: [holder.id],
    symbol: 'AAPL',
  });
});

test('403: an order against an own order is a wash trade', async () => {
  simulator.control.setPosition(accountId, 'AAPL', '10', '150');
  const { body: sell } = await caller.post('/v2/orders', { ...limit, side: 'sell', limit_price: '250' });

  const crossing = await caller.post('/v2/orders', { ...limit, limit_price: '250' });
  const clear = await caller.post('/v2/orders', { ...limit, limit_price: '100' });

  expect(crossing.status).toBe(403);
  expect(crossing.body).toMatchObject({ code: 40310000, existing_order_id: sell.id, buy_limit_price: '250' });
  expect(clear.status).toBe(200);
});

test('403: shorting needs permission, options need their level, blocked accounts trade nothing', async () => {
  await caller.call('PATCH', '/v2/account/configurations', { no_shorting: true, max_options_trading_level: 1 });
  const short = await caller.post('/v2/orders', { ...market, side: 'sell' });
  const long = await caller.post('/v2/orders', { ...market, symbol: call });
  simulator.control.blockAccount(accountId, { account: true });
  const blocked = await caller.post('/v2/orders', market);

  expect(short.body).toEqual({ code: 40310000, message: 'account is not allowed to short' });
  expect(long.body).toEqual({ code: 40310000, message: 'account not eligible for level2 options trading' });
  expect(blocked.status).toBe(403);
});

test('403: a call is only written against shares, a put only against cash', async () => {
  simulator.control.setCash(accountId, '100');
  const sell = { ...market, side: 'sell', type: 'limit', limit_price: '1' };
  const naked = await caller.post('/v2/orders', { ...sell, symbol: call });
  const unfunded = await caller.post('/v2/orders', { ...sell, symbol: put });
  simulator.control.setPosition(accountId, 'AAPL', '100', '150');
  const covered = await caller.post('/v2/orders', { ...sell, symbol: call });

  expect(naked.body).toMatchObject({ code: 40310000, available_qty: '0', required_qty: '100' });
  expect(unfunded.body).toMatchObject({ code: 40310000, buying_power: '100' });
  expect(covered.status).toBe(200);
});

test('403: less than a dollar is too little', async () => {
  const answer = await caller.post('/v2/orders', { ...noQty, notional: '0.5' });

  expect(answer.body).toEqual({ code: 40310000, message: 'cost basis must be >= minimal amount of order 1' });
});

test('numbers in a request come back as strings', async () => {
  const { body } = await caller.post('/v2/orders', { ...limit, qty: 2, limit_price: 100.5 });

  expect(body).toMatchObject({ qty: '2', limit_price: '100.5', filled_qty: '0' });
});

test.each(['opg', 'cls', 'ioc', 'fok'])('time in force %s is accepted and kept', async (timeInForce) => {
  const { status, body } = await caller.post('/v2/orders', { ...limit, time_in_force: timeInForce });

  expect(status).toBe(200);
  expect(body.time_in_force).toBe(timeInForce);
  if (timeInForce === 'ioc' || timeInForce === 'fok') expect(body.status).toBe('canceled');
});

test('a notional order buys its dollars in shares', async () => {
  const { body } = await caller.post('/v2/orders', { ...noQty, notional: '100' });

  const spent = Number(body.filled_qty) * Number(body.filled_avg_price);
  expect(body).toMatchObject({ qty: null, notional: '100', status: 'filled' });
  expect(spent).toBeCloseTo(100, 4);
});

test('a bracket waits for its entry, then one exit cancels the other', async () => {
  const { body: parent } = await caller.post('/v2/orders', {
    ...bracket,
    limit_price: '150',
    take_profit: { limit_price: '170' },
  });
  simulator.control.setPrice('AAPL', 149);
  const { body: entered } = await caller.get(`/v2/orders/${parent.id}?nested=true`);
  simulator.control.setPrice('AAPL', 171);
  const { body: done } = await caller.get(`/v2/orders/${parent.id}?nested=true`);

  expect(parent.legs.map((leg: { status: string }) => leg.status)).toEqual(['held', 'held']);
  expect(entered).toMatchObject({ status: 'filled', legs: [{ status: 'new' }, { status: 'new' }] });
  expect(done.legs.map((leg: { status: string }) => leg.status)).toEqual(['filled', 'canceled']);
  expect((await caller.get('/v2/positions')).body).toEqual([]);
});

test('an oco is an exit: either side ends the other', async () => {
  simulator.control.setPosition(accountId, 'AAPL', '1', '150');
  const oco = {
    ...limit,
    side: 'sell',
    order_class: 'oco',
    take_profit: { limit_price: '250' },
    stop_loss: { stop_price: '180' },
  };
  const { body: parent } = await caller.post('/v2/orders', { ...oco, limit_price: '250' });

  simulator.control.setPrice('AAPL', 179);

  const { body: done } = await caller.get(`/v2/orders/${parent.id}?nested=true`);
  expect(done).toMatchObject({ status: 'canceled', limit_price: '250', legs: [{ status: 'filled', type: 'stop' }] });
});

test('a multi-leg order fills whole and shows its legs', async () => {
  const legs = [
    { symbol: call, ratio_qty: '1', side: 'buy', position_intent: 'buy_to_open' },
    { symbol: put, ratio_qty: '2', side: 'buy', position_intent: 'buy_to_open' },
  ];
  const { status, body } = await caller.post('/v2/orders', {
    order_class: 'mleg',
    qty: '1',
    type: 'market',
    time_in_force: 'day',
    legs,
  });

  expect(status).toBe(200);
  expect(body).toMatchObject({ symbol: '', side: '', asset_class: '', status: 'filled', order_class: 'mleg' });
  expect(body.legs).toMatchObject([
    { symbol: call, qty: '1', filled_qty: '1', ratio_qty: '1', type: '' },
    { symbol: put, qty: '2', filled_qty: '2', ratio_qty: '2', type: '' },
  ]);
});

test('a trailing stop follows the market up and sells on the way down', async () => {
  simulator.control.setPosition(accountId, 'AAPL', '1', '150');
  const trailing = { ...market, side: 'sell', type: 'trailing_stop', trail_price: '10' };
  const { body: order } = await caller.post('/v2/orders', trailing);

  simulator.control.setPrice('AAPL', 230);
  const { body: up } = await caller.get(`/v2/orders/${order.id}`);
  simulator.control.setPrice('AAPL', 219);
  const { body: down } = await caller.get(`/v2/orders/${order.id}`);

  expect(up).toMatchObject({ status: 'new', hwm: '230', stop_price: '220', trail_price: '10' });
  expect(down.status).toBe('filled');
});

test('replace refuses what the broker refuses', async () => {
  const { body: order } = await caller.post('/v2/orders', { ...limit, time_in_force: 'gtc' });
  const patch = (body: unknown): ReturnType<Caller['call']> => caller.call('PATCH', `/v2/orders/${order.id}`, body);

  const unchanged = await patch({ limit_price: '100.00' });
  const fractional = await patch({ qty: '1.5' });
  await caller.call('DELETE', `/v2/orders/${order.id}`);
  const late = await patch({ limit_price: '101' });

  expect(unchanged.body).toEqual({ code: 42210000, message: 'order parameters are not changed' });
  expect(fractional.body).toEqual({ code: 40010001, message: 'qty must be integer' });
  expect(late.body).toEqual({ code: 42210000, message: 'cannot replace order in canceled status' });
});

test('canceling a filled order is refused, and a foreign order is not found', async () => {
  const { body: order } = await caller.post('/v2/orders', market);
  const filled = await caller.call('DELETE', `/v2/orders/${order.id}`);
  const stranger = new Caller(simulator.url, simulator.control.addAccount());
  const foreign = await stranger.get(`/v2/orders/${order.id}`);

  expect(filled.body).toEqual({ code: 42210000, message: 'order is already in "filled" state' });
  expect(foreign.body).toEqual({ code: 40410000, message: `order not found for ${order.id}` });
});

test('lists page by order id, filter, and nest', async () => {
  const ids: string[] = [];
  for (const price of ['90', '91', '92'])
    ids.push((await caller.post('/v2/orders', { ...limit, limit_price: price })).body.id);
  const idsOf = async (query: string): Promise<string[]> =>
    (await caller.get(`/v2/orders?${query}`)).body.map((order: { id: string }) => order.id);
  const { body: first } = await caller.get(`/v2/orders/${ids[0]}`);

  expect(await idsOf('')).toEqual([...ids].reverse());
  expect(await idsOf(`direction=asc&after_order_id=${ids[0]}`)).toEqual(ids.slice(1));
  expect(await idsOf(`direction=asc&before_order_id=${ids[2]}&limit=1`)).toEqual(ids.slice(0, 1));
  expect(await idsOf(`direction=asc&after=${encodeURIComponent(first.submitted_at)}`)).toEqual(ids.slice(1));
  expect(await idsOf('symbols=MSFT')).toEqual([]);
  expect(await idsOf('side=sell')).toEqual([]);
  expect(await idsOf('status=closed')).toEqual([]);
  expect((await caller.get('/v2/orders?limit=501')).status).toBe(422);
});

test('closing all positions answers one verdict each', async () => {
  simulator.control.setPosition(accountId, 'AAPL', '2', '100');
  simulator.control.setPosition(accountId, 'MSFT', '3', '100');
  await caller.post('/v2/orders', { ...limit, symbol: 'MSFT', side: 'sell', qty: '3', limit_price: '9000' });

  const { status, body } = await caller.call('DELETE', '/v2/positions');

  expect(status).toBe(207);
  expect(body).toMatchObject([
    { symbol: 'AAPL', status: 200, body: { side: 'sell', qty: '2' } },
    { symbol: 'MSFT', status: 403, body: { code: 40310000, held_for_orders: '3' } },
  ]);
});
