import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { connect as connectSocket } from 'node:net';
import { aStreamEdge, type StreamUnderTest } from '../../support/stream-doors.js';

let stream: StreamUnderTest;
const NOBODY = { type: 'subscription', quotes: [], trades: [], bars: [], option_quotes: [], option_trades: [] };

beforeEach(async () => {
  stream = await aStreamEdge();
});
afterEach(() => stream.close());

test.each([
  ['a bad token', () => stream.connect('bad'), 'HTTP 401'],
  ['a bad token as subprotocol', () => stream.connect('bad', { viaProtocol: true }), 'HTTP 401'],
  ['a token in the address', () => stream.connect('a|read|*', { query: '?token=x' }), 'HTTP 400'],
  ['a page of a stranger', () => stream.connect('a|read|*', { origin: 'https://evil.example' }), 'HTTP 403'],
])('%s is refused before there is a socket', async (_what, connect, refusal) => {
  await expect(connect()).rejects.toThrow(refusal);
});

test('a page of an allowed origin may connect', async () => {
  await stream.connect('a|read|*', { origin: 'https://desk.example' });
});

test('a page of our own address may connect', async () => {
  await stream.connect('a|read|*', { origin: stream.url.replace('ws:', 'http:').replace('/api/v1/stream', '') });
});

test('the chosen subprotocol is echoed', async () => {
  const client = await stream.connect('a|read', { viaProtocol: true });

  expect(client.socket.protocol).toBe('bearer.a|read');
});

test('a socket that says nothing is closed with 4401', async () => {
  const client = await stream.connectBare();

  expect((await client.next('error'))['code']).toBe('auth-required');
  expect((await client.closed).code).toBe(4401);
});

test('a socket that asks before it shows a token is closed with 4401', async () => {
  const client = await stream.connectBare();
  client.say({ action: 'subscribe', quotes: ['AAPL'] });

  expect((await client.closed).code).toBe(4401);
});

test('a token may come with the first message and is acknowledged', async () => {
  const client = await stream.connectBare();
  client.say({ action: 'auth', token: 'a|market_data' });

  expect(await client.next('subscription')).toEqual({ ...NOBODY, orders: [], status: [] });
});

test('a first token that is bad closes the socket with 4401', async () => {
  const client = await stream.connectBare();
  client.say({ action: 'auth', token: 'bad' });

  expect((await client.next('error'))['code']).toBe('auth-failed');
  expect((await client.closed).code).toBe(4401);
});

test('a token is renewed in band by its own subject only', async () => {
  const client = await stream.connect(`a|market_data||${Date.now() / 1000 + 2}`);
  client.say({ action: 'auth', token: 'b|market_data' });
  expect((await client.next('error'))['code']).toBe('auth-subject-differs');

  client.say({ action: 'auth', token: 'a|market_data' });
  await client.next('subscription');
  await new Promise((resolve) => setTimeout(resolve, 3_500));

  client.say({ action: 'ping' });
  await client.next('pong');
}, 15_000);

test('a token that ends closes its socket with 4401', async () => {
  const client = await stream.connect(`a|market_data||${Date.now() / 1000 + 1}`);

  expect((await client.next('error'))['code']).toBe('token-ended');
  expect((await client.closed).code).toBe(4401);
});

test('a revoked token closes its socket with 4401', async () => {
  const client = await stream.connect('a|market_data');
  stream.verifier.revoked.add('a');

  expect((await client.closed).code).toBe(4401);
});

test('a subject holds no more sockets than allowed, by whichever way its token comes', async () => {
  const clients = [];
  for (let n = 0; n < 5; n += 1) clients.push(await stream.connect('a|read|*'));

  await expect(stream.connect('a|read|*')).rejects.toThrow('HTTP 429');
  const late = await stream.connectBare();
  late.say({ action: 'auth', token: 'a|read' });
  expect((await late.closed).code).toBe(4429);

  clients[0]?.close();
  await clients[0]?.closed;
  await expectConnected(() => stream.connect('a|read|*'));
});

test('a handshake that is none is answered 400 and disturbs nobody', async () => {
  const { port } = new URL(stream.url);
  const answers = await Promise.all(
    ['Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13'].map(
      (lines) =>
        new Promise<string>((resolve) => {
          const socket = connectSocket(Number(port), '127.0.0.1', () =>
            socket.write(
              `GET /api/v1/stream HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${lines}\r\n\r\n`,
            ),
          );
          let text = '';
          socket.on('data', (chunk) => (text += chunk.toString()));
          socket.on('close', () => resolve(text));
        }),
    ),
  );

  for (const answer of answers) expect(answer).toMatch(/^HTTP\/1\.1 400 /);
  const client = await stream.connect('a|read|*');
  client.say({ action: 'ping' });
  await client.next('pong');
});

test('a flood is closed with 4429 and nobody else notices', async () => {
  const [flooder, other] = [await stream.connect('a|read|*'), await stream.connect('b|market_data')];
  other.say({ action: 'subscribe', quotes: ['AAPL'] });
  await other.next('subscription');
  for (let n = 0; n < 50_000 && flooder.socket.readyState === 1; n += 1) flooder.say('{"action":"ping"}');

  expect((await flooder.closed).code).toBe(4429);
  other.say({ action: 'ping' });
  await other.next('pong');
});

test('a frame too large closes with 1009', async () => {
  const client = await stream.connect('a|read|*');
  client.say('x'.repeat(20_000));

  expect((await client.closed).code).toBe(1009);
});

test('text that is not UTF-8 closes with 1007', async () => {
  const client = await stream.connect('a|read|*');
  client.socket.send(Buffer.from([0xff, 0xfe, 0xfd]), { binary: false });

  expect((await client.closed).code).toBe(1007);
});

test.each([
  ['[]', 'message-malformed'],
  ['{"action":"trade"}', 'message-malformed'],
  ['{"action":"__proto__"}', 'message-malformed'],
  ['not json', 'message-malformed'],
  ['{"action":"subscribe","qoutes":["AAPL"]}', 'field-unknown'],
  ['{"action":"subscribe","quotes":"AAPL"}', 'field-malformed'],
  ['{"action":"subscribe","quotes":["AAPL",1]}', 'field-malformed'],
  ['{"action":"subscribe","quotes":["*"]}', 'symbol-malformed'],
  ['{"action":"subscribe","option_quotes":["AAPL"]}', 'symbol-malformed'],
  ['{"action":"resume","account_id":"account_001","epoch":-1,"seq":0}', 'field-malformed'],
  ['{"action":"resume","account_id":"account_001","epoch":1.5,"seq":0}', 'field-malformed'],
])('%s is answered %s and the socket lives on', async (text, code) => {
  const client = await stream.connect('a|read,market_data|*');
  client.say(text);

  expect((await client.next('error'))['code']).toBe(code);
  client.say({ action: 'ping' });
  await client.next('pong');
});

test('a drain tells every client to come back, with 1012, and takes no new ones', async () => {
  const client = await stream.connect('a|read|*');

  stream.edge.drain();

  expect((await client.closed).code).toBe(1012);
  await expect(stream.connect('a|read|*')).rejects.toThrow('HTTP 503');
});

/** The server hears of a client's end a moment after the client does. */
async function expectConnected(connect: () => Promise<unknown>): Promise<void> {
  for (let turn = 0; turn < 200; turn += 1) {
    const done = await connect().then(
      () => true,
      () => false,
    );
    if (done) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error('never admitted');
}
