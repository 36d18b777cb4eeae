/** The official SDK, unmodified, through every trading method that the gateway uses. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { errors, trading } from '@alpacahq/alpaca-trade-api';
import type { Simulator } from '../../../src/simulator/simulator.js';
import { aSimulator } from '../../support/simulator.js';

let simulator: Simulator;
let configuration: trading.Configuration;

beforeEach(async () => {
  simulator = await aSimulator({
    behaviour: { fills: 'instant' },
    optionUnderlyings: [{ underlying: 'AAPL', contracts: 60, expirations: 3 }],
  });
  const { apiKey, secretKey } = simulator.accounts[0]!;
  configuration = new trading.Configuration({
    keyId: apiKey,
    secret: secretKey,
    basePath: simulator.endpoints.trading,
    timeoutMs: 0,
  });
});
afterEach(() => simulator.close());

const limit = { symbol: 'AAPL', qty: '2', side: 'buy', type: 'limit', limitPrice: '10', timeInForce: 'gtc' } as const;

test('account and configuration', async () => {
  const account = await new trading.AccountsApi(configuration).getAccount();
  const configurations = new trading.AccountConfigurationsApi(configuration);
  const changed = await configurations.patchAccountConfig({ accountConfigurations: { noShorting: true } });

  expect(account).toMatchObject({ status: 'ACTIVE', cash: '100000', multiplier: '2', buyingPower: '200000' });
  expect(changed.noShorting).toBe(true);
  expect((await configurations.getAccountConfig()).noShorting).toBe(true);
});

test('an order is sent, found three ways, replaced and canceled', async () => {
  const orders = new trading.OrdersApi(configuration);

  const order = await orders.postOrder({ postOrderRequest: { ...limit, clientOrderId: 'sdk-1' } });
  const byId = await orders.getOrderByOrderID({ orderId: order.id! });
  const byClientId = await orders.getOrderByClientOrderId({ clientOrderId: 'sdk-1' });
  const listed = await orders.getAllOrders({ status: 'open', nested: true, limit: 500 });
  const next = await orders.patchOrderByOrderId({ orderId: order.id!, patchOrderRequest: { limitPrice: '11' } });
  await orders.deleteOrderByOrderID({ orderId: next.id! });

  expect([byId.id, byClientId.id, listed[0]?.id]).toEqual([order.id, order.id, order.id]);
  expect(next).toMatchObject({ replaces: order.id, limitPrice: '11' });
  expect((await orders.getOrderByOrderID({ orderId: next.id! })).status).toBe('canceled');
});

test('all orders are canceled at once, each with its own status', async () => {
  const orders = new trading.OrdersApi(configuration);
  await orders.postOrder({ postOrderRequest: limit });
  await orders.postOrder({ postOrderRequest: { ...limit, limitPrice: '12' } });

  const results = await orders.deleteAllOrders();

  expect(results.map(({ status }) => status)).toEqual([200, 200]);
  expect(await orders.getAllOrders({ status: 'open' })).toEqual([]);
});

test('positions are listed, closed in part and closed whole', async () => {
  const positions = new trading.PositionsApi(configuration);
  const orders = new trading.OrdersApi(configuration);
  for (const symbol of ['AAPL', 'MSFT']) {
    await orders.postOrder({ postOrderRequest: { symbol, qty: '4', side: 'buy', type: 'market', timeInForce: 'day' } });
  }

  const open = await positions.getAllOpenPositions();
  await positions.deleteOpenPosition({ symbolOrAssetId: 'AAPL', percentage: 50 });
  const half = await positions.getOpenPosition({ symbolOrAssetId: 'AAPL' });
  const closed = await positions.deleteAllOpenPositions({ cancelOrders: true });

  expect(open.map(({ symbol, qty }) => [symbol, qty])).toEqual([
    ['AAPL', '4'],
    ['MSFT', '4'],
  ]);
  expect(half.qty).toBe('2');
  expect(closed.map(({ status }) => status)).toEqual([200, 200]);
  expect(await positions.getAllOpenPositions()).toEqual([]);
});

test('activities, history, assets, contracts, clock and calendar', async () => {
  const orders = new trading.OrdersApi(configuration);
  await orders.postOrder({
    postOrderRequest: { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', timeInForce: 'day' },
  });
  const assets = new trading.AssetsApi(configuration);

  const fills = await new trading.AccountActivitiesApi(configuration).getAccountActivitiesByActivityType({
    activityType: 'FILL',
    pageSize: 10,
  });
  const history = await new trading.PortfolioHistoryApi(configuration).getAccountPortfolioHistory({ period: '1W' });
  const asset = await assets.getV2AssetsSymbolOrAssetId({ symbolOrAssetId: 'AAPL' });
  const contracts = await assets.getOptionsContracts({ underlyingSymbols: 'AAPL', limit: 5 });
  const contract = await assets.getOptionContractSymbolOrId({
    symbolOrId: contracts.optionContracts[0]!.symbol,
  });
  const clock = await new trading.ClockApi(configuration).legacyClock();
  const calendar = await new trading.CalendarApi(configuration).legacyCalendar({});

  expect(fills).toHaveLength(1);
  expect(history.timestamp.length).toBe(history.equity.length);
  expect((await assets.getV2Assets({})).length).toBeGreaterThan(10);
  expect(asset.symbol).toBe('AAPL');
  expect(contracts.optionContracts).toHaveLength(5);
  expect(contract.underlyingSymbol).toBe('AAPL');
  expect(clock.isOpen).toBe(true);
  expect(calendar.length).toBeGreaterThan(15);
});

test('a refusal arrives as the SDK error with status and code', async () => {
  const orders = new trading.OrdersApi(configuration);
  await orders.postOrder({ postOrderRequest: { ...limit, clientOrderId: 'once' } });

  const refused = orders.postOrder({ postOrderRequest: { ...limit, clientOrderId: 'once' } });

  await expect(refused).rejects.toBeInstanceOf(errors.ApiError);
  await expect(refused).rejects.toMatchObject({ code: 40010001 });
});
