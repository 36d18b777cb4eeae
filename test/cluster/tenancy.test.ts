/** An account id and the brokerage account behind it: one that is given to another one inherits nothing. */
import { afterEach, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { callerOf, type Caller } from '../support/gateway-orders.js';
import {
  eventually,
  restartGateway,
  startGateway,
  type ConfiguredAccount,
  type GatewayProcess,
} from '../support/gateway-process.js';

const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: '1.00' };
const PLACE = '/accounts/account_001/orders/stocks';

let gateway: GatewayProcess | undefined;

afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
}, 60_000);

/** A third brokerage account is there, and is not configured. */
async function start(editAccounts?: (accounts: ConfiguredAccount[]) => void): Promise<GatewayProcess> {
  gateway = await startGateway({
    accounts: 3,
    editAccounts: (accounts) => {
      accounts.pop();
      editAccounts?.(accounts);
    },
  });
  return gateway;
}

type Accounts = ConfiguredAccount[];

function accountsIn(config: Record<string, unknown>): Accounts {
  return config['trading_accounts'] as Accounts;
}

/** Keys of another brokerage account, by its place in the simulator. */
function keysOf(of: GatewayProcess, account: number): { readonly api_key: string; readonly secret_key: string } {
  const { apiKey = '', secretKey = '' } = of.simulator.accounts[account] ?? {};
  return { api_key: apiKey, secret_key: secretKey };
}

async function state(of: GatewayProcess, accountId: string): Promise<string | undefined> {
  return (await of.pool()).accounts.find(({ account_id: id }) => id === accountId)?.state;
}

/** Every record that a resume from the very beginning brings, until the account is subscribed. */
async function resumedFromZero(of: GatewayProcess): Promise<readonly Record<string, unknown>[]> {
  const socket = new WebSocket(`${of.url.replace('http', 'ws')}/api/v1/stream`, {
    headers: { authorization: `Bearer ${await of.token()}` },
  });
  const records: Record<string, unknown>[] = [];
  await new Promise<void>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('open', () =>
      socket.send(JSON.stringify({ action: 'resume', account_id: 'account_001', epoch: 0, seq: 0 })),
    );
    socket.on('message', (data: Buffer) => {
      const value = JSON.parse(data.toString()) as Record<string, unknown> | Record<string, unknown>[];
      records.push(...(Array.isArray(value) ? value : [value]));
      if (records.some(({ type }) => type === 'subscription')) resolve();
    });
  });
  socket.terminate();
  return records.filter(({ type }) => type === 'order' || type === 'gap');
}

interface Before {
  readonly key: string;
  readonly ownId: string;
  readonly orderId: unknown;
}

async function tradeAs(call: Caller): Promise<Before> {
  const [key, ownId] = [randomUUID(), `own-${randomUUID()}`];
  const keyed = await call('POST', PLACE, ORDER, { 'idempotency-key': key });
  const named = await call('POST', PLACE, { ...ORDER, client_order_id: ownId });
  expect([keyed.status, named.status]).toEqual([201, 201]);
  return { key, ownId, orderId: keyed.json['id'] };
}

async function expectNothingOld(of: GatewayProcess, { key, ownId, orderId }: Before): Promise<void> {
  const call = await callerOf(of);
  expect(JSON.stringify(await resumedFromZero(of))).not.toMatch(new RegExp(`${ownId}|${String(orderId)}`));
  const read = await call('GET', `/accounts/account_001/orders/by-client-order-id/${ownId}`);
  expect([read.status, read.json['code']]).toEqual([404, 'order-not-found']);
  const trail = await call('GET', '/accounts/account_001/audit?limit=1000');
  expect(trail.status).toBe(200);
  expect(trail.text).not.toContain(ownId);
  const again = await call('POST', PLACE, ORDER, { 'idempotency-key': key });
  expect(again.status).toBe(201);
  expect(again.headers.get('idempotent-replayed')).toBeNull();
  expect(again.json['id']).not.toBe(orderId);
  const placed = await of.simulator.control.orders({ accountId: of.simulator.accounts[2]?.accountId ?? '' });
  expect(placed.map(({ id }) => id)).toContain(again.json['id']);
}

test('account_001 removed and added with the keys of another brokerage account inherits nothing', async () => {
  const one = await start();
  const before = await tradeAs(await callerOf(one));

  one.rewriteConfig((config) => void accountsIn(config).shift());
  await eventually(async () => (await state(one, 'account_001')) === undefined, 'account_001 is removed');
  one.rewriteConfig((config) => {
    accountsIn(config).unshift({ account_id: 'account_001', ...keysOf(one, 2), paper_trading: true });
  });
  await eventually(async () => (await state(one, 'account_001')) === 'ready', 'account_001 is back');

  await expectNothingOld(one, before);
}, 120_000);

test('account_001 given other keys by a reload inherits nothing', async () => {
  const one = await start();
  const before = await tradeAs(await callerOf(one));

  one.rewriteConfig((config) => void Object.assign(accountsIn(config)[0] ?? {}, keysOf(one, 2)));
  await eventually(async () => {
    const placed = await (await callerOf(one))('POST', PLACE, ORDER);
    const orders = await one.simulator.control.orders({ accountId: one.simulator.accounts[2]?.accountId ?? '' });
    return orders.some(({ id }) => id === placed.json['id']);
  }, 'account_001 trades at the other brokerage account');

  await expectNothingOld(one, before);
}, 120_000);

test('after a restart under other keys nothing is served and no order is taken until the broker has named their account', async () => {
  const one = await start();
  const before = await tradeAs(await callerOf(one));
  one.primary.kill('SIGTERM');
  await eventually(() => one.primary.exitCode !== null, 'the gateway has stopped');
  one.rewriteConfig((config) => void Object.assign(accountsIn(config)[0] ?? {}, keysOf(one, 2)));
  await one.simulator.control.breakKey(one.simulator.accounts[2]?.accountId ?? '', true);
  const restarted = await restartGateway(one);
  try {
    const two = { ...one, url: restarted.url, adminUrl: restarted.adminUrl };
    const call = await callerOf(two);
    const [fresh, known, trail] = [
      await call('POST', PLACE, ORDER, { 'idempotency-key': randomUUID() }),
      await call('POST', PLACE, ORDER, { 'idempotency-key': before.key }),
      await call('GET', '/accounts/account_001/audit'),
    ];
    expect([fresh.status, fresh.json['code']]).toEqual([503, 'order-not-sent']);
    expect([known.status, known.json['code']]).toEqual([503, 'account-unavailable']);
    expect(trail.status).toBe(503);
    const other = await call('POST', '/accounts/account_002/orders/stocks', ORDER);
    expect(other.status).toBe(201);

    await one.simulator.control.breakKey(one.simulator.accounts[2]?.accountId ?? '', false);
    await eventually(
      async () => (await call('GET', '/accounts/account_001/audit')).status === 200,
      'the broker has named the account',
    );
    await expectNothingOld(two, before);
  } finally {
    await restarted.stop();
  }
}, 120_000);

test('new keys of the same brokerage account keep everything, over a restart too', async () => {
  const one = await start();
  const before = await tradeAs(await callerOf(one));
  const { apiKey, secretKey } = await one.simulator.control.issueKeys(one.simulator.accounts[0]?.accountId ?? '');
  one.primary.kill('SIGTERM');
  await eventually(() => one.primary.exitCode !== null, 'the gateway has stopped');
  one.rewriteConfig((config) => {
    Object.assign(accountsIn(config)[0] ?? {}, { api_key: apiKey, secret_key: secretKey });
  });
  const restarted = await restartGateway(one);
  try {
    const call = await callerOf({ ...one, url: restarted.url });
    await eventually(
      async () => (await call('GET', '/accounts/account_001/audit')).status === 200,
      'the broker has named the account',
    );
    const again = await call('POST', PLACE, ORDER, { 'idempotency-key': before.key });

    expect(again.json['id']).toBe(before.orderId);
    expect((await call('GET', '/accounts/account_001/audit?limit=1000')).text).toContain(before.ownId);
  } finally {
    await restarted.stop();
  }
}, 120_000);

test('of two key pairs of one brokerage account the first opens, and the other is failed and names it', async () => {
  const one = await start();
  const call = await callerOf(one);
  const { apiKey, secretKey } = await one.simulator.control.issueKeys(one.simulator.accounts[0]?.accountId ?? '');
  const own = keysOf(one, 1);
  one.rewriteConfig((config) => {
    Object.assign(accountsIn(config)[1] ?? {}, { api_key: apiKey, secret_key: secretKey });
  });
  await eventually(async () => (await state(one, 'account_002')) === 'failed', 'account_002 is refused');

  const described = await (
    await fetch(`${one.adminUrl}/pool`, { headers: { authorization: `Bearer ${await one.token()}` } })
  ).text();
  const order = await call('POST', '/accounts/account_002/orders/stocks', ORDER);
  const read = await call('GET', '/accounts/account_002/positions');

  expect(described).toContain('same brokerage account as account_001');
  expect([order.status, order.json['code']]).toEqual([503, 'order-not-sent']);
  expect(String(order.json['detail'])).toContain('account_001');
  expect([read.status, read.json['code']]).toEqual([503, 'account-unavailable']);
  expect((await call('POST', PLACE, ORDER)).status).toBe(201);

  one.rewriteConfig((config) => void Object.assign(accountsIn(config)[1] ?? {}, own));
  await eventually(
    async () => (await call('POST', '/accounts/account_002/orders/stocks', ORDER)).status === 201,
    'account_002 has its own keys again and trades',
  );
}, 120_000);
