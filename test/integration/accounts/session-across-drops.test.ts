/** A trade stream that drops at the worst moments: the session's state stays true, and no update is lost. */
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from '@jest/globals';
import { WebSocketServer, type WebSocket } from 'ws';
import type { AccountId } from '../../../src/kernel/domain/identifiers.js';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import { silentMeter } from '../../../src/kernel/runtime/meter.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import { BrokerSession } from '../../../src/workers/accounts/broker-session.js';
import type { ExchangeResult } from '../../../src/workers/alpaca/broker-pool.js';
import type { BrokerWire, WireCall } from '../../../src/workers/alpaca/broker-wire.js';

const ends: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

interface Stream {
  readonly url: string;
  readonly listening: WebSocket[];
  isRefusing: boolean;
}

async function startStream(): Promise<Stream> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  await new Promise((resolve) => server.on('listening', resolve));
  const stream: Stream = {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}/stream`,
    listening: [],
    isRefusing: false,
  };
  server.on('connection', (socket) => {
    if (stream.isRefusing) socket.terminate();
    socket.on('message', (data: Buffer) => {
      const isListen = data.toString().includes('"listen"');
      const ack = isListen
        ? { stream: 'listening', data: { streams: ['trade_updates'] } }
        : { stream: 'authorization', data: { status: 'authorized', action: 'authenticate' } };
      socket.send(JSON.stringify(ack));
      if (isListen) stream.listening.push(socket);
    });
  });
  ends.push(() => {
    for (const socket of server.clients) socket.terminate();
    server.close();
  });
  return stream;
}

function startSession(url: string, answer: (call: WireCall) => Promise<string>): BrokerSession {
  const send = async (call: WireCall): Promise<ExchangeResult> => {
    const body = Buffer.from(await answer(call));
    return { kind: 'answered', status: 200, headers: {}, body, upstreamMs: 1 };
  };
  const session = new BrokerSession(
    {
      accountId: 'account_001' as AccountId,
      epoch: 1,
      keys: { keyId: 'key', secretKey: 'secret' },
      stream: { url, openTimeoutMs: 2_000, pingIntervalMs: 5_000, backOffMinMs: 20, backOffMaxMs: 40 },
      budget: { limitPerMinute: 1_000, inFlightMax: 16, waitingMax: 100 },
    },
    {
      wire: { send } as unknown as BrokerWire,
      clock: new SystemClock(),
      log: silentLog,
      meter: silentMeter,
      jitter: () => 0.5,
    },
  );
  ends.push(() => session.close());
  return session;
}

async function until(isTrue: () => boolean): Promise<void> {
  const end = performance.now() + 5_000;
  while (!isTrue()) {
    if (performance.now() > end) throw new TypeError('did not come true in time');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const bodyOf = (path: string): string =>
  path.startsWith('/v2/account?') || path === '/v2/account' ? '{"id":"a"}' : '[]';

test('a stream that drops during the last read of a repair leaves no session that calls itself ready', async () => {
  const stream = await startStream();
  let [opens, isHolding] = [0, false];
  let letGo: (() => void) | undefined;
  const session = startSession(stream.url, async ({ path }) => {
    // After a gap the open orders are read twice: the second read closes the race.
    if (isHolding && path.startsWith('/v2/orders?status=open') && (opens += 1) === 2) {
      await new Promise<void>((resolve) => (letGo = resolve));
    }
    return bodyOf(path);
  });
  session.start();
  await until(() => session.state() === 'ready');
  isHolding = true;
  stream.listening[0]?.terminate();
  await until(() => letGo !== undefined);
  stream.isRefusing = true;
  stream.listening[1]?.terminate();
  await until(() => session.state() === 'degraded');
  letGo?.();
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(session.report().streamConnected).toBe(false);
  expect({ state: session.state(), inSync: session.mirror.inSync }).toEqual({ state: 'degraded', inSync: false });
});

test('a fill heard before the first sync passes although the stream drops before that sync is done', async () => {
  const stream = await startStream();
  let letGo: (() => void) | undefined;
  const held = new Promise<void>((resolve) => (letGo = resolve));
  const order = { id: 'o1', client_order_id: 'c1', symbol: 'AAPL', status: 'filled', filled_qty: '1' };
  const session = startSession(stream.url, async ({ path }) => {
    await held;
    return path.startsWith('/v2/orders?status=all') ? JSON.stringify([order]) : bodyOf(path);
  });
  const heard: string[] = [];
  session.onTradeUpdate(({ event }) => heard.push(event));
  session.start();
  await until(() => stream.listening.length === 1);
  const timestamp = '2026-01-05T15:00:00Z';
  const data = { event: 'fill', execution_id: 'x1', timestamp, price: '1', qty: '1', position_qty: '1', order };
  stream.listening[0]?.send(JSON.stringify({ stream: 'trade_updates', data }));
  // The pong proves that the frame before it was read.
  await new Promise((resolve) => {
    stream.listening[0]?.once('pong', resolve);
    stream.listening[0]?.ping();
  });
  stream.listening[0]?.terminate();
  await until(() => stream.listening.length === 2);
  letGo?.();
  await until(() => session.state() === 'ready');
  expect(heard).toEqual(['fill']);
});

test('what the broker says once of an order is told once, although it comes again under another time', async () => {
  const stream = await startStream();
  const session = startSession(stream.url, ({ path }) => Promise.resolve(bodyOf(path)));
  const heard: string[] = [];
  session.onTradeUpdate(({ event, timestamp }) => heard.push(`${event} ${timestamp}`));
  session.start();
  await until(() => session.state() === 'ready');
  const tell = (event: string, second: number, filled = '0'): void => {
    const at = `2026-01-05T15:00:0${second}Z`;
    const order = { id: 'o1', client_order_id: 'c1', symbol: 'AAPL', status: event, qty: '9', filled_qty: filled };
    const fill = event === 'partial_fill' ? { execution_id: `x${second}`, qty: '1', price: '2' } : {};
    const data = { event, timestamp: at, ...fill, order: { ...order, updated_at: at } };
    stream.listening[0]?.send(JSON.stringify({ stream: 'trade_updates', data }));
  };
  tell('new', 1);
  tell('new', 2);
  tell('partial_fill', 3, '1');
  tell('partial_fill', 4, '2');
  tell('canceled', 5);
  tell('canceled', 6);
  tell('partial_fill', 7, '3');
  await until(() => heard.some((line) => line.endsWith('07Z')));

  expect(heard.map((line) => line.replace(/ .*0(\d)Z/, ' $1'))).toEqual([
    'new 1',
    'partial_fill 3',
    'partial_fill 4',
    'canceled 5',
    'partial_fill 7',
  ]);
});
