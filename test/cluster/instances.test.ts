/** Several gateways, a real Redis and one simulator: who holds what, who answers, and what survives a lost instance. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { eventually, restartGateway, type GatewayProcess } from '../support/gateway-process.js';
import { callerOf, type Caller } from '../support/gateway-orders.js';
import { fallingEpochs, startInstances, type Instances } from '../support/instances.js';
import { hasNginx, startNginx } from '../support/nginx-process.js';
import { hasRedis } from '../support/redis-process.js';

const whenRedis = hasRedis() ? test : test.skip;
const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: '1.00' };
let instances: Instances | undefined;

beforeAll(async () => {
  if (hasRedis()) instances = await startInstances(['alpha', 'beta'], { accounts: 8 });
}, 90_000);

afterAll(async () => {
  await instances?.stop();
}, 60_000);

function all(): Instances {
  if (instances === undefined) throw new TypeError('the instances did not start');
  return instances;
}

async function callers(): Promise<readonly Caller[]> {
  return Promise.all(['alpha', 'beta'].map((name) => callerOf(all().named(name))));
}

async function holderOf(accountId: string): Promise<GatewayProcess> {
  const [name] = await all().ownersOf(accountId);
  return all().named(name ?? '');
}

const place = (call: Caller, accountId: string, key: string = randomUUID()): ReturnType<Caller> =>
  call('POST', `/accounts/${accountId}/orders/stocks`, ORDER, { 'idempotency-key': key });

whenRedis('every account is held by exactly one instance, and each instance holds its share', async () => {
  const { gateways } = all();
  await eventually(async () => {
    const pools = await Promise.all(gateways.map((gateway) => gateway.pool()));
    const held = pools.flatMap(({ accounts }) => accounts.map(({ account_id }) => account_id)).sort();
    return JSON.stringify(held) === JSON.stringify([...(gateways[0]?.accountIds ?? [])].sort());
  }, 'each account at one instance');
  const pools = await Promise.all(gateways.map((gateway) => gateway.pool()));

  expect(pools.map(({ leases }) => leases?.slots.length)).toEqual([32, 32]);
  expect(pools.map(({ leases }) => leases?.members.length)).toEqual([2, 2]);
  const metrics = await (await fetch(`${gateways[0]?.adminUrl ?? ''}/metrics`)).text();
  expect(metrics).toMatch(/^opitios_instances(\{\})? 2$/m);
  expect(metrics).toMatch(/^opitios_lease_slots_held(\{\})? 32$/m);
  expect(metrics).toMatch(/^opitios_lease_age_seconds(\{\})? \d/m);
  const epochs = pools[0]?.leases?.slots.map(({ epoch }) => epoch) ?? [];
  const [, epoch] = /^opitios_lease_epoch(?:\{\})? (.+)$/m.exec(metrics) ?? [];
  expect(Number(epoch)).toBe(Math.max(...epochs));
});

whenRedis('any account is read and traded through any instance, and each order is sent once', async () => {
  const [alpha] = all().gateways;
  for (const call of await callers()) {
    for (const accountId of alpha?.accountIds ?? []) {
      const read = await call('GET', `/accounts/${accountId}/account`);
      const ordered = await place(call, accountId);

      expect(read.status).toBe(200);
      expect(ordered.status).toBe(201);
      expect(ordered.headers.get('location')).toContain(accountId);
    }
  }
  const sent = await all().sent();
  expect(new Set(sent.map(({ clientOrderId }) => clientOrderId)).size).toBe(sent.length);
  expect(sent.every(({ epoch }) => epoch > 2 ** 50)).toBe(true);
});

const whenNginx = hasRedis() && hasNginx() ? test : test.skip;

whenNginx(
  'any account is read and traded through the shipped nginx, whose choice of an instance is its own',
  async () => {
    const { gateways } = all();
    const nginx = await startNginx(gateways.map(({ url }) => Number(new URL(url).port)));
    try {
      const call = await callerOf({ ...all().named('alpha'), url: `http://127.0.0.1:${nginx.port}` });
      for (const accountId of gateways[0]?.accountIds ?? []) {
        expect((await call('GET', `/accounts/${accountId}/account`)).status).toBe(200);
        const { status, json } = await place(call, accountId);
        expect(status).toBe(201);
        expect((await call('DELETE', `/accounts/${accountId}/orders/${String(json['id'])}`)).status).toBe(204);
      }
      expect(
        (await call('DELETE', `/accounts/${gateways[0]?.accountIds[0] ?? ''}/positions/AAPL`)).json['code'],
      ).toBeDefined();
    } finally {
      await nginx.stop();
    }
  },
);

whenRedis('a foreign token meets the same 404 at every instance', async () => {
  const [alpha, beta] = all().gateways;
  const accountId = alpha?.accountIds[0] ?? '';
  const token = await alpha?.token({ accounts: ['account_999'] });
  const answers = await Promise.all(
    [alpha, beta].map((gateway) =>
      fetch(`${gateway?.url ?? ''}/api/v1/accounts/${accountId}/account`, {
        headers: { authorization: `Bearer ${token ?? ''}` },
      }),
    ),
  );

  expect(answers.map(({ status }) => status)).toEqual([404, 404]);
});

whenRedis('one key at two instances at once places one order, and both callers are told the same id', async () => {
  const [first, second] = await callers();
  if (first === undefined || second === undefined) throw new TypeError('two instances');
  for (const accountId of all().gateways[0]?.accountIds ?? []) {
    const key = randomUUID();
    const before = (await all().simulator.control.orders()).length;
    const answers = await Promise.all([place(first, accountId, key), place(second, accountId, key)]);

    const statuses = answers.map(({ status }) => status).sort();
    expect([
      [201, 201],
      [201, 409],
    ]).toContainEqual(statuses);
    const ids = new Set(answers.map(({ json }) => json['client_order_id']));
    expect(ids.size).toBe(1);
    expect((await all().simulator.control.orders()).length).toBe(before + 1);
  }
});

whenRedis('without Redis orders are refused with lease-lost once the lease has run out, and reads go on', async () => {
  const [accountId = ''] = all().gateways[0]?.accountIds ?? [];
  const call = await callerOf(await holderOf(accountId));
  all().redis.pause();
  try {
    await eventually(async () => (await place(call, accountId)).status === 503, 'the lease runs out');
    const before = (await all().sent()).length;
    const refused = await place(call, accountId);
    const read = await call('GET', `/accounts/${accountId}/positions`);

    expect(refused.json['code']).toBe('lease-lost');
    expect(refused.headers.get('retry-after')).toBe('1');
    expect(read.status).toBe(200);
    expect((await all().sent()).length).toBe(before);
  } finally {
    all().redis.resume();
  }
  await eventually(async () => (await place(call, accountId)).status === 201, 'orders go on after the lease');
  expect(fallingEpochs(await all().sent())).toEqual([]);
});

whenRedis('a Redis that lost everything takes the leases back, and no account moves', async () => {
  const before = await Promise.all(all().gateways.map((gateway) => gateway.pool()));
  await all().redis.restartEmpty();
  const [accountId = ''] = all().gateways[0]?.accountIds ?? [];
  const call = await callerOf(await holderOf(accountId));
  await eventually(async () => (await place(call, accountId)).status === 201, 'orders go on');
  await eventually(async () => {
    const pools = await Promise.all(all().gateways.map((gateway) => gateway.pool()));
    return pools.every(({ leases }) => leases?.members.length === 2 && leases.unowned_slots === 0);
  }, 'the leases are back');
  const after = await Promise.all(all().gateways.map((gateway) => gateway.pool()));

  expect(after.map(({ leases }) => leases?.slots)).toEqual(before.map(({ leases }) => leases?.slots));
});

whenRedis(
  'a stopped instance loses its accounts, and sends nothing of its old epoch when it goes on',
  async () => {
    const accountId = (await all().named('beta').pool()).accounts[0]?.account_id ?? '';
    const alpha = await callerOf(all().named('alpha'));
    const beta = await callerOf(all().named('beta'));
    await all().signal('beta', 'SIGSTOP');
    const key = randomUUID();
    const waiting = place(beta, accountId, key);
    try {
      await eventually(
        async () => (await place(alpha, accountId, key)).status === 201,
        'the other instance takes over',
      );
    } finally {
      await all().signal('beta', 'SIGCONT');
    }
    const late = await waiting;
    await eventually(async () => (await all().ownersOf(accountId)).length === 1, 'one holder again');
    const orders = (await all().simulator.control.orders()).filter((order) => order['account_id'] === accountId);

    expect(new Set(orders.map((order) => order['client_order_id'])).size).toBe(orders.length);
    expect([200, 201, 202, 409, 503]).toContain(late.status);
    expect(fallingEpochs(await all().sent())).toEqual([]);
  },
  60_000,
);

whenRedis(
  'a killed instance is replaced within seconds, and its keys still mean the same orders',
  async () => {
    const held = async (): Promise<readonly { readonly account_id: string; readonly state: string }[]> =>
      (await all().named('beta').pool()).accounts.filter(({ state }) => state === 'ready');
    await eventually(async () => (await held()).length > 0, 'it has its share again');
    const accountId = (await held())[0]?.account_id ?? '';
    const alpha = await callerOf(all().named('alpha'));
    const key = randomUUID();
    const first = await place(alpha, accountId, key);
    await all().signal('beta', 'SIGKILL');
    await eventually(async () => (await place(alpha, accountId)).status === 201, 'the other instance takes over');

    const again = await place(alpha, accountId, key);

    expect(first.status).toBe(201);
    expect(again.status).toBe(201);
    expect(again.json['id']).toBe(first.json['id']);
    expect(fallingEpochs(await all().sent())).toEqual([]);
    all().replace('beta', await restartGateway(all().named('beta')));
    await eventually(async () => (await held()).length > 0, 'it is given its share when it comes back');
  },
  60_000,
);

whenRedis(
  'a halt at one instance is in force at all, and a killed owner does not end it',
  async () => {
    const accountId = (await all().named('beta').pool()).accounts[0]?.account_id ?? '';
    const [alpha, beta] = await callers();
    if (alpha === undefined || beta === undefined) throw new TypeError('two instances');
    await alpha('POST', '/admin/halt', { reason: 'a test' });
    await eventually(async () => (await place(beta, accountId)).json['code'] === 'trading-halted', 'halted everywhere');
    await alpha('POST', '/admin/resume', {});
    await eventually(async () => (await place(beta, accountId)).status === 201, 'resumed everywhere');

    const one = await alpha('POST', `/admin/accounts/${accountId}/halt`, { reason: 'this one' });
    await all().signal('beta', 'SIGKILL');
    await eventually(async () => {
      const { status, json } = await place(alpha, accountId);
      expect(status).not.toBe(201);
      return json['code'] === 'trading-halted' && (await all().ownersOf(accountId))[0] === 'alpha';
    }, 'the next owner refuses too');

    expect(one.status).toBe(200);
  },
  60_000,
);
