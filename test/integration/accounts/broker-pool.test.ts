/** What is known of an exchange when sockets fail, and what an abandoned exchange costs the others. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import { BrokerPool } from '../../../src/workers/alpaca/broker-pool.js';
import { eventually } from '../../support/eventually.js';

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Broker {
  readonly origin: string;
  readonly sockets: Socket[];
  readonly arrivals: string[];
}

async function startBroker(
  answer: (path: string, socket: Socket, done: (body: string) => void) => void,
): Promise<Broker> {
  const [sockets, arrivals]: [Socket[], string[]] = [[], []];
  const server: Server = createServer((request, response) => {
    const path = `${request.method} ${request.url}`;
    arrivals.push(path);
    request.resume();
    request.on('end', () => answer(path, request.socket, (body) => response.end(body)));
  });
  server.keepAliveTimeout = 60_000;
  server.on('connection', (socket: Socket) => sockets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, sockets, arrivals };
}

function poolOn(origin: string, connections = 1): BrokerPool {
  const pool = new BrokerPool({ origin, connections, connectTimeoutMs: 1_000, keepAliveMs: 60_000 }, new SystemClock());
  ends.push(() => pool.close());
  return pool;
}

const GET = { method: 'GET', path: '/x', headers: {}, deadlineMs: 3_000 } as const;
const POST = { method: 'POST', path: '/order', headers: {}, body: '{}', deadlineMs: 1_000 } as const;

test('an order on a socket that the broker closes as it arrives is ambiguous and arrives once', async () => {
  const broker = await startBroker((path, socket, done) => (path === 'POST /order' ? socket.destroy() : done('{}')));
  const pool = poolOn(broker.origin);
  await pool.warm({ path: '/x', headers: {}, deadlineMs: 1_000 });
  expect(await pool.exchange(POST)).toMatchObject({ kind: 'ambiguous' });
  expect(await pool.exchange(GET)).toMatchObject({ kind: 'answered' });
  expect(broker.arrivals.filter((path) => path === 'POST /order')).toHaveLength(1);
});

test('an order that is forbidden when a socket is at hand is not sent', async () => {
  const broker = await startBroker((_path, _socket, done) => done('{}'));
  const pool = poolOn(broker.origin);
  expect(await pool.exchange({ ...POST, mayStillSend: () => false })).toMatchObject({ kind: 'not-sent' });
  await pool.exchange(GET);
  expect(broker.arrivals).toEqual(['GET /x']);
});

test('a broker that cannot be reached got nothing', async () => {
  expect(await poolOn('http://127.0.0.1:1').exchange(POST)).toMatchObject({ kind: 'not-sent', reason: 'connect' });
});

test('exchanges given up while they queue close no socket of the others', async () => {
  let free: () => void = () => undefined;
  const broker = await startBroker((path, _socket, done) => {
    if (path === 'GET /slow') free = () => done('{}');
    else done('{}');
  });
  const pool = poolOn(broker.origin);
  await pool.warm({ path: '/x', headers: {}, deadlineMs: 1_000 });
  const slow = pool.exchange({ ...GET, path: '/slow' });
  const late = await Promise.all(Array.from({ length: 5 }, () => pool.exchange({ ...GET, deadlineMs: 30 })));
  expect(late.map(({ kind }) => kind)).toEqual(Array(5).fill('not-sent'));
  free();
  await slow;
  expect(await pool.exchange(GET)).toMatchObject({ kind: 'answered' });
  expect(broker.sockets).toHaveLength(1);
});

test('where sockets are short cancels go before orders, orders before lookups, and reads last, each in its order', async () => {
  let free: () => void = () => undefined;
  const broker = await startBroker((path, _socket, done) => {
    if (path === 'GET /slow') free = () => done('{}');
    else done('{}');
  });
  const pool = poolOn(broker.origin);
  const slow = pool.exchange({ ...GET, path: '/slow' });
  await eventually('the socket is taken', () => broker.arrivals.length === 1);
  const lanes = [
    ...(['read', 'lookup', 'order', 'cancel'] as const),
    ...(['read', 'lookup', 'order', 'cancel'] as const),
  ];
  const precedences = { cancel: 0, order: 1, lookup: 2, read: undefined } as const;
  const rest = lanes.map((lane, n) => {
    const precedence = precedences[lane];
    return pool.exchange({ ...GET, path: `/${lane}-${n}`, ...(precedence !== undefined && { precedence }) });
  });
  free();
  await Promise.all([slow, ...rest]);

  const paths = broker.arrivals.slice(1).map((path) => path.replace('GET /', ''));
  expect(paths).toEqual(['cancel-3', 'cancel-7', 'order-2', 'order-6', 'lookup-1', 'lookup-5', 'read-0', 'read-4']);
});
