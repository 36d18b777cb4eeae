/** Order events wherever a client connects: at the instance that holds the account, at another, and after a take-over. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { eventually, type GatewayProcess } from '../support/gateway-process.js';
import { callerOf, type Caller } from '../support/gateway-orders.js';
import { startInstances, type Instances } from '../support/instances.js';
import { hasRedis } from '../support/redis-process.js';

const whenRedis = hasRedis() ? test : test.skip;
let instances: Instances | undefined;

interface Told {
  readonly type: string;
  readonly event?: string;
  readonly epoch?: number;
  readonly seq?: number;
  readonly order?: { readonly client_order_id?: string };
}

beforeAll(async () => {
  if (hasRedis()) instances = await startInstances(['alpha', 'beta'], { accounts: 4 });
}, 90_000);

afterAll(async () => {
  await instances?.stop();
}, 60_000);

function all(): Instances {
  if (instances === undefined) throw new TypeError('the instances did not start');
  return instances;
}

async function aReader(gateway: GatewayProcess, first: object): Promise<{ told: Told[]; socket: WebSocket }> {
  const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/api/v1/stream`, {
    headers: { authorization: `Bearer ${await gateway.token()}` },
  });
  const told: Told[] = [];
  socket.on('message', (data: Buffer) => {
    const value = JSON.parse(data.toString('utf8')) as Told | Told[];
    told.push(...(Array.isArray(value) ? value : [value]));
  });
  await new Promise((resolve, reject) => {
    socket.once('open', resolve);
    socket.once('error', reject);
  });
  socket.send(JSON.stringify(first));
  await eventually(() => told.some(({ type }) => type === 'subscription'), 'the subscription is acknowledged');
  return { told, socket };
}

function place(call: Caller, accountId: string, id: string): ReturnType<Caller> {
  const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: '1.00' };
  return call('POST', `/accounts/${accountId}/orders/stocks`, { ...order, client_order_id: id });
}

const hears = (told: readonly Told[], id: string): boolean =>
  told.some(({ type, order }) => type === 'order' && order?.client_order_id === id);

whenRedis(
  'a client of another instance hears the events, and resumes at the successor of a killed owner',
  async () => {
    const accountId = (await all().named('beta').pool()).accounts[0]?.account_id ?? '';
    const alpha = await callerOf(all().named('alpha'));
    const here = await aReader(all().named('alpha'), { action: 'subscribe', orders: [accountId] });
    const there = await aReader(all().named('beta'), { action: 'subscribe', orders: [accountId] });
    const [first, second] = [randomUUID(), randomUUID()];
    await place(alpha, accountId, first);
    await eventually(() => hears(here.told, first) && hears(there.told, first), 'both hear the first order');
    const last = there.told.filter(({ type }) => type === 'order').at(-1);
    await all().signal('beta', 'SIGKILL');
    await eventually(async () => (await place(alpha, accountId, second)).status === 201, 'the account trades again');
    await eventually(() => hears(here.told, second), 'the reader of the other instance goes on');

    const { epoch, seq } = last ?? {};
    const resume = { action: 'resume', account_id: accountId, epoch, seq: (seq ?? 1) - 1 };
    const resumed = await aReader(all().named('alpha'), resume);
    await eventually(() => hears(resumed.told, first) && hears(resumed.told, second), 'it resumes across owners');

    const epochs = here.told.filter(({ type }) => type === 'order').map((event) => event.epoch ?? 0);
    expect([...epochs].sort((a, b) => a - b)).toEqual(epochs);
    expect(new Set(epochs).size).toBeGreaterThan(1);
    expect(resumed.told.filter(({ type }) => type === 'gap')).toEqual([]);
    here.socket.terminate();
    there.socket.terminate();
    resumed.socket.terminate();
  },
  90_000,
);
