/** Limits over a real session to the simulated broker: by whatever name, at whatever price, however many at once. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { RiskRules } from '../../../src/kernel/config/gateway-config.js';
import type { AccountAnswer } from '../../../src/kernel/domain/account-request.js';
import type { Simulator } from '../../../src/simulator/simulator.js';
import type { Mark } from '../../../src/workers/orders/ports.js';
import { aDeskOn, type DeskOnSimulator } from '../../support/desk-on-simulator.js';
import { aContext, bodyOf, statusOf } from '../../support/order-desk.js';
import { Caller } from '../../support/simulator-caller.js';
import { aSimulator } from '../../support/simulator.js';

let simulator: Simulator;
let gateway: DeskOnSimulator;
beforeEach(async () => {
  simulator = await aSimulator({
    behaviour: { fills: 'manual' },
    optionUnderlyings: [{ underlying: 'AAPL', contracts: 40, expirations: 2 }],
  });
});
afterEach(async () => {
  await gateway.close();
  await simulator.close();
});

async function withRules(
  risk: RiskRules,
  {
    positions = {},
    quotes = {},
    fetched = {},
  }: Partial<Record<'positions', Record<string, string>>> &
    Partial<Record<'quotes' | 'fetched', Record<string, Mark>>> = {},
): Promise<void> {
  const accountId = simulator.accounts[0]?.accountId ?? '';
  for (const [symbol, qty] of Object.entries(positions)) simulator.control.setPosition(accountId, symbol, qty, '100');
  const marks = {
    quote: (symbol: string) => quotes[symbol],
    fetch: (symbol: string) => Promise.resolve(fetched[symbol]),
  };
  gateway = await aDeskOn(simulator, { risk, marks });
}

const mark = (bidPrice: string, askPrice: string): Mark => ({ bidPrice, askPrice, ageMs: 10 });

function submit(order: Record<string, unknown>, assetClass: 'stocks' | 'options' = 'stocks'): Promise<AccountAnswer> {
  const { accountId, desk } = gateway;
  const whole = { qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day', ...order };
  return desk.execute({ kind: 'submit-order', accountId, assetClass, order: whole, dryRun: false }, aContext());
}

const denied = (answer: AccountAnswer): unknown =>
  answer.kind === 'problem'
    ? [answer.problem.code, answer.problem.members?.['rule'] ?? answer.problem.members?.['reason']]
    : answer.status;

async function assetIdOf(symbol: string): Promise<string> {
  const [keys] = simulator.accounts;
  const { body } = await new Caller(simulator.endpoints.trading, keys!).get(`/v2/assets/${symbol}`);
  return String(body.id);
}

async function aContract(): Promise<{ readonly id: string; readonly symbol: string }> {
  const [keys] = simulator.accounts;
  const { body } = await new Caller(simulator.endpoints.trading, keys!).get(
    '/v2/options/contracts?underlying_symbols=AAPL&limit=1&expiration_date_gte=2020-01-01',
  );
  return body.option_contracts[0];
}

test('deny_symbols [AAPL] covers its asset id, its lower case and an option of it by contract id', async () => {
  await withRules({ denySymbols: ['AAPL'] });
  const contract = await aContract();

  const answers = [
    await submit({ symbol: 'AAPL' }),
    await submit({ symbol: 'aapl' }),
    await submit({ symbol: await assetIdOf('AAPL') }),
    await submit({ symbol: contract.symbol }, 'options'),
    await submit({ symbol: contract.id }, 'options'),
    await submit({ symbol: 'MSFT' }),
  ];

  const rule = ['risk-denied', 'deny_symbols'];
  expect(answers.map(denied)).toEqual([rule, rule, rule, rule, rule, 201]);
}, 20_000);

test('deny_symbols [tsla] in lower case works', async () => {
  await withRules({ denySymbols: ['tsla'] });

  expect(denied(await submit({ symbol: 'TSLA' }))).toEqual(['risk-denied', 'deny_symbols']);
});

test('a sell limit far below the bid is worth the bid', async () => {
  await withRules({ maxOrderNotional: '1000' }, { positions: { TSLA: '500' }, quotes: { TSLA: mark('255', '256') } });

  const answer = await submit({ symbol: 'TSLA', qty: '500', side: 'sell', limit_price: '1.00' });

  expect(answer).toMatchObject({
    problem: { members: { rule: 'max_order_notional', value: '127500', limit: '1000' } },
  });
});

test('an option named by its contract id is worth its multiplier: 10 at 5.00 are 5,000', async () => {
  await withRules({ maxOrderNotional: '1000' });
  const contract = await aContract();

  const answer = await submit({ symbol: contract.id, qty: '10', limit_price: '5.00' }, 'options');

  expect(answer).toMatchObject({ problem: { members: { rule: 'max_order_notional', value: '5000' } } });
});

test('500 spreads of width 100 at net 0.01 are worth what they can lose', async () => {
  await withRules({ maxOrderNotional: '1000' });
  const leg = (strike: string, side: 'buy' | 'sell') => ({
    ...{ symbol: `AAPL271217C00${strike}000`, ratio_qty: '1', side, position_intent: `${side}_to_open` },
  });
  const spread = {
    order_class: 'mleg',
    qty: '500',
    limit_price: '0.01',
    side: undefined,
    legs: [leg('100', 'sell'), leg('200', 'buy')],
  };

  expect(denied(await submit(spread, 'options'))).toEqual(['risk-denied', 'max_order_notional']);
});

test('a limit_price on a market order counts nothing', async () => {
  await withRules({ maxOrderNotional: '1000' }, { quotes: { AAPL: mark('199', '200') } });

  const answer = await submit({ symbol: 'AAPL', qty: '10', type: 'market', limit_price: '0.01' });

  expect(answer).toMatchObject({ problem: { members: { value: '2000' } } });
});

test('a market order of a stock that is not quoted is judged by a fetched quote, or not sent', async () => {
  await withRules({ maxOrderNotional: '1000' }, { fetched: { AAPL: mark('199', '200') } });

  const judged = await submit({ symbol: 'AAPL', qty: '10', type: 'market', limit_price: undefined });
  const unquoted = await submit({ symbol: 'MSFT', qty: '10', type: 'market', limit_price: undefined });

  expect(denied(judged)).toEqual(['risk-denied', 'max_order_notional']);
  expect(denied(unquoted)).toEqual(['order-not-sent', 'no-quote']);
});

test('no_short, 10 held: of two sells of 10 at once one is sent', async () => {
  await withRules({ noShort: true }, { positions: { MSFT: '10' } });
  const sell = { symbol: 'MSFT', qty: '10', side: 'sell', limit_price: '9000' };

  const answers = await Promise.all([submit(sell), submit(sell), submit({ ...sell, symbol: 'msft' })]);

  expect(answers.map(statusOf).sort()).toEqual([201, 'risk-denied', 'risk-denied']);
  expect(simulator.control.orders()).toHaveLength(1);
});

test('no_short, 10 held: a sell whose outcome is unknown holds them', async () => {
  await withRules({ noShort: true }, { positions: { MSFT: '10' } });
  simulator.control.switchOn([
    { fault: { kind: 'answer-lost', how: '504', when: 'before' }, method: 'POST', path: '/v2/orders', count: 1 },
    { fault: { kind: 'status', status: 500 }, method: 'GET', path: '/v2/orders*' },
  ]);
  const sell = { symbol: 'MSFT', qty: '10', side: 'sell', limit_price: '9000' };

  const unknown = await submit(sell);
  const second = await submit(sell);

  expect(statusOf(unknown)).toBe(202);
  expect(second).toMatchObject({ problem: { code: 'risk-denied', members: { rule: 'no_short', reserved: '10' } } });
}, 20_000);

test('the ways out of an OCO hold their shares once', async () => {
  await withRules({ noShort: true }, { positions: { MSFT: '20' } });
  const oco = {
    ...{ symbol: 'MSFT', qty: '10', side: 'sell', order_class: 'oco', time_in_force: 'gtc', limit_price: undefined },
    ...{ take_profit: { limit_price: '9000' }, stop_loss: { stop_price: '1' } },
  };

  expect(statusOf(await submit(oco))).toBe(201);
  expect(statusOf(await submit({ symbol: 'MSFT', qty: '10', side: 'sell', limit_price: '9000' }))).toBe(201);
  expect(statusOf(await submit({ symbol: 'MSFT', qty: '1', side: 'sell', limit_price: '9000' }))).toBe('risk-denied');
});

test('0.5 BTC/USD held and listed as BTCUSD: selling 0.1 is no short, in REDUCING too', async () => {
  await withRules({ noShort: true }, { positions: { 'BTC/USD': '0.5' } });
  const sell = { symbol: 'BTC/USD', qty: '0.1', side: 'sell', limit_price: '900000', time_in_force: 'gtc' };

  expect(statusOf(await submit(sell))).toBe(201);
  const { accountId, desk } = gateway;
  await desk.execute({ kind: 'set-trading-state', accountId, state: 'REDUCING', reason: 'test' }, aContext());
  expect(statusOf(await submit({ ...sell, symbol: 'BTCUSD' }))).toBe(201);
  expect(denied(await submit({ ...sell, side: 'buy', limit_price: '1' }))).toEqual(['trading-halted', 'reducing']);
});

test('orders that differ in their client order id alone are alike', async () => {
  await withRules({ duplicateWindowMs: 60_000 });

  expect(statusOf(await submit({ symbol: 'AAPL', client_order_id: 'a' }))).toBe(201);
  expect(denied(await submit({ symbol: 'AAPL', client_order_id: 'b' }))).toEqual(['risk-denied', 'duplicate_window']);
});

test('counts and the duplicate window outlive a takeover', async () => {
  await withRules({ duplicateWindowMs: 60_000 });
  expect(statusOf(await submit({ symbol: 'AAPL' }))).toBe(201);
  const { session } = gateway;
  await gateway.desk.release(gateway.accountId, { deadlineMs: 1_000 });
  await gateway.desk.adopt(session);

  expect(denied(await submit({ symbol: 'AAPL' }))).toEqual(['risk-denied', 'duplicate_window']);
});

test('a dry run shows instrument, value and what each rule saw', async () => {
  await withRules({ maxOrderNotional: '1000' });
  const { accountId, desk } = gateway;
  const order = { symbol: 'aapl', qty: '10', side: 'buy', type: 'limit', limit_price: '5', time_in_force: 'day' };

  const dry = await desk.execute(
    { kind: 'submit-order', accountId, assetClass: 'stocks', order, dryRun: true },
    aContext(),
  );

  expect(bodyOf(dry)).toMatchObject({
    instruments: [{ symbol: 'AAPL', asset_class: 'us_equity' }],
    value: '50',
    rules: { max_order_notional: { passes: true } },
    body: { symbol: 'aapl' },
  });
});
