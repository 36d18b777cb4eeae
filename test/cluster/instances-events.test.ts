/**
 * Order events and quotes wherever a client connects: at the instance that holds the account or the market data sockets,
 * at another, and after a take-over. By the fair shares it is alpha that holds the master account until it is killed.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { WebSocket } from 'ws';
import { eventually, type GatewayProcess } from '../support/gateway-process.js';
import { callerOf, type Caller } from '../support/gateway-orders.js';
import { startInstances, type Instances } from '../support/instances.js';
import { hasRedis } from '../support/redis-process.js';

const whenRedis = hasRedis() ? test : test.skip;
let instances: Instances | undefined;
/** Opened before the kill. */
let quotesAtBeta: { readonly told: Told[]; readonly socket: WebSocket } | undefined;

interface Told {
  readonly type: string;
  readonly symbol?: string;
  readonly event?: string;
  readonly epoch?: number;
  readonly seq?: number;
  readonly order?: { readonly client_order_id?: string };
}

beforeAll(async () => {
  if (hasRedis()) instances = await startInstances(['beta', 'alpha'], { accounts: 4, simulator: ['--ticks', '200'] });
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

async function hearsQuotes({ told }: { readonly told: readonly Told[] }, symbol: string): Promise<void> {
  const from = told.length;
  await eventually(() => told.slice(from).some((one) => one.type === 'quote' && one.symbol === symbol), symbol, 30_000);
}

/** Data sockets that are open at the broker, by feed. */
async function dataSockets(): Promise<Readonly<Record<string, number>>> {
  const { dataStreams } = await all().simulator.control.counters();
  return Object.fromEntries(Object.entries(dataStreams).map(([feed, { open }]) => [feed, open]));
}

async function hasSockets(gateway: GatewayProcess): Promise<boolean> {
  const metrics = await (await fetch(`${gateway.adminUrl}/metrics`)).text();
  return metrics.includes('opitios_market_data_stream_up{side="stock"} 1');
}

whenRedis('quotes reach the clients of every instance by one socket a feed, and are read there', async () => {
  await eventually(() => hasSockets(all().named('alpha')), 'alpha holds the sockets');
  const there = await aReader(all().named('beta'), { action: 'subscribe', quotes: ['AAPL', 'MSFT'] });
  const here = await aReader(all().named('alpha'), { action: 'subscribe', quotes: ['AAPL'] });
  await Promise.all([hearsQuotes(here, 'AAPL'), hearsQuotes(there, 'AAPL'), hearsQuotes(there, 'MSFT')]);
  const quotes = { path: '/v2/stocks/quotes/latest' };
  const read = async (): Promise<{ readonly source?: string }> =>
    (await (await all().named('beta').get('/stocks/quote/MSFT')).json()) as { readonly source?: string };
  // A client hears a quote before the table has it: a read in between asks the broker.
  await eventually(async () => (await read()).source === 'stream', 'the table of beta has it');
  const before = (await all().simulator.control.ledger(quotes)).entries.length;

  expect(await read()).toMatchObject({ symbol: 'MSFT', source: 'stream' });
  expect((await all().simulator.control.ledger(quotes)).entries.length).toBe(before);
  expect(await dataSockets()).toEqual({ 'v2/iex': 1, 'v1beta1/indicative': 1 });
  expect(await hasSockets(all().named('beta'))).toBe(false);
  here.socket.terminate();
  quotesAtBeta = there;
});

whenRedis(
  'a client of another instance hears the events, and resumes at the successor of a killed owner',
  async () => {
    const accountId = (await all().named('alpha').pool()).accounts[0]?.account_id ?? '';
    const beta = await callerOf(all().named('beta'));
    const here = await aReader(all().named('beta'), { action: 'subscribe', orders: [accountId] });
    const there = await aReader(all().named('alpha'), { action: 'subscribe', orders: [accountId] });
    const [first, second] = [randomUUID(), randomUUID()];
    await place(beta, accountId, first);
    await eventually(() => hears(here.told, first) && hears(there.told, first), 'both hear the first order');
    const last = there.told.filter(({ type }) => type === 'order').at(-1);
    await all().signal('alpha', 'SIGKILL');
    await eventually(async () => (await place(beta, accountId, second)).status === 201, 'the account trades again');
    await eventually(() => hears(here.told, second), 'the reader of the other instance goes on');

    const { epoch, seq } = last ?? {};
    const resume = { action: 'resume', account_id: accountId, epoch, seq: (seq ?? 1) - 1 };
    const resumed = await aReader(all().named('beta'), resume);
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

whenRedis(
  'the quotes of the killed instance go on at the one that took over, by one socket a feed',
  async () => {
    if (quotesAtBeta === undefined) throw new TypeError('nobody listens');
    await hearsQuotes(quotesAtBeta, 'MSFT');

    expect(await dataSockets()).toEqual({ 'v2/iex': 1, 'v1beta1/indicative': 1 });
    expect(await hasSockets(all().named('beta'))).toBe(true);
    quotesAtBeta.socket.terminate();
  },
  60_000,
);
