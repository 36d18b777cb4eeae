import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { afterEach, expect, test } from '@jest/globals';
import { EdgeFixture } from '../../support/http-edge-fixture.js';
import { eventually } from '../../support/eventually.js';
import { rawExchange, statusOf } from '../../support/raw-http.js';

let edge: EdgeFixture | undefined;
afterEach(() => edge?.stop());

const addresses: string[] = [];

/** Refuses as the stream edge does: with its last bytes, by `end`. */
function refusing(_req: IncomingMessage, socket: Duplex, _head: Buffer, caller: { address: string }): Promise<number> {
  addresses.push(caller.address);
  socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  return Promise.resolve(401);
}

function upgrade(headers = ''): Promise<string> {
  const lines =
    'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n';
  return rawExchange(edge?.port ?? 0, `GET /api/v1/stream HTTP/1.1\r\nHost: a\r\n${lines}${headers}\r\n`);
}

test('an upgrade refused by the stream edge is counted once with its status', async () => {
  edge = await new EdgeFixture({ more: { onUpgrade: refusing } }).start();

  expect(statusOf(await upgrade())).toBe(401);

  expect(edge.requests()).toEqual(['GET /api/v1/stream 401']);
});

test('an upgrade whose client leaves while its token is looked at is counted once', async () => {
  let release = (): void => undefined;
  const slow = new Promise<number>((resolve) => (release = () => resolve(400)));
  edge = await new EdgeFixture({ more: { onUpgrade: (_req, socket) => (socket.destroy(), slow) } }).start();

  await upgrade();
  await eventually('the upgrade is counted', () => edge?.requests().length === 1);
  expect(edge.requests()).toEqual(['GET /api/v1/stream 499']);
  release();
  // Past every continuation of the promise, so that a second count would have happened.
  await new Promise((resolve) => setImmediate(resolve));

  expect(edge.requests()).toHaveLength(1);
});

test('a stream edge that fails costs its own socket only', async () => {
  edge = await new EdgeFixture({ more: { onUpgrade: () => Promise.reject(new TypeError('broken')) } }).start();

  await upgrade();

  expect(edge.requests()).toEqual(['GET /api/v1/stream 500']);
  expect((await edge.fetch('/health')).status).toBe(200);
});

test('a draining edge takes no new stream', async () => {
  edge = await new EdgeFixture({ more: { onUpgrade: refusing } }).start();
  addresses.length = 0;
  edge.edge.drain();

  const answer = await upgrade();

  expect(statusOf(answer)).toBe(503);
  expect(answer).toContain('"code":"draining"');
  expect(addresses).toEqual([]);
  expect(edge.requests()).toEqual(['GET /api/v1/stream 503']);
});

test('a stream over plain HTTP is refused where HTTPS is required, unless a trusted proxy vouches for it', async () => {
  edge = await new EdgeFixture({
    server: { requireHttps: true, trustProxy: ['127.0.0.1'] },
    more: { onUpgrade: refusing },
  }).start();
  addresses.length = 0;

  expect(await upgrade()).toContain('"code":"https-required"');
  expect(addresses).toEqual([]);

  expect(statusOf(await upgrade('X-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.9\r\n'))).toBe(401);
  expect(addresses).toEqual(['203.0.113.9']);
  expect(edge.requests()).toEqual(['GET /api/v1/stream 403', 'GET /api/v1/stream 401']);
});

test('the document of the streams is served where there are streams, and is asked for again by its ETag', async () => {
  edge = await new EdgeFixture({ more: { asyncApi: { asyncapi: '3.0.0' } } }).start();

  const first = await edge.fetch('/api/v1/asyncapi.json');
  const etag = first.headers.get('etag') ?? '';
  const again = await edge.fetch('/api/v1/asyncapi.json', { headers: { 'if-none-match': etag } });

  expect(await first.json()).toEqual({ asyncapi: '3.0.0' });
  expect(again.status).toBe(304);
});
