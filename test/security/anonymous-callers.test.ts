/** What a caller without a token can hold of one worker: nothing that a verified caller or a health check needs. */
import { afterEach, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { EdgeFixture, OWN, tokenFor } from '../support/http-edge-fixture.js';
import { eventually } from '../support/eventually.js';
import { guardAgainstHanging } from '../support/hang-guard.js';
import { rawExchange, statusOf } from '../support/raw-http.js';
import { parseJsonText } from '../../src/workers/http/json-text.js';

let edge: EdgeFixture | undefined;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await edge?.stop();
  edge = undefined;
});

const TOKEN = tokenFor(['read', 'trade', 'market_data'], [OWN]);
const ACCOUNT = `/api/v1/accounts/${OWN}/account`;
const HEALTH = '/api/v1/health/live';

async function started(options: ConstructorParameters<typeof EdgeFixture>[0] = {}): Promise<EdgeFixture> {
  edge = await new EdgeFixture(options).start();
  return edge;
}

async function aConnection(port: number, from = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress: from }).on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  return socket;
}

const head = (path: string, lines: string): string => `GET ${path} HTTP/1.1\r\nHost: a\r\n${lines}\r\n`;

test('80 KB of 1.000…0001 to an open route are refused at the head, before a byte of them is read', async () => {
  const { port } = await started();
  const number = `1.${'0'.repeat(80_000)}1`;
  const announced = `Content-Type: application/json\r\nContent-Length: ${number.length}\r\n`;

  const answer = await rawExchange(port, head(HEALTH, announced));

  expect(statusOf(answer)).toBe(400);
  expect(answer.toLowerCase()).toContain('connection: close');
});

test('a route without a body takes `Content-Length: 0` and chunks that end at once, and no first byte', async () => {
  const { port } = await started();
  const chunked = head(HEALTH, 'Transfer-Encoding: chunked\r\nConnection: close\r\n');

  expect(statusOf(await rawExchange(port, head(HEALTH, 'Content-Length: 0\r\nConnection: close\r\n')))).toBe(200);
  expect(statusOf(await rawExchange(port, `${chunked}0\r\n\r\n`))).toBe(200);
  expect(statusOf(await rawExchange(port, `${chunked}1\r\na\r\n`))).toBe(400);
});

const GROWING: Readonly<Record<string, (n: number) => string>> = {
  'zeros of a number': (n) => `{"qty":1.${'0'.repeat(n)}1}`,
  'digits of a number': (n) => `{"qty":${'9'.repeat(n)}}`,
  'items of a list': (n) => `{"symbols":[${'1,'.repeat(n / 2)}1]}`,
  'characters of a string': (n) => `{"symbol":"${'a'.repeat(n)}"}`,
  'escapes of a string': (n) => `{"symbol":"${String.raw`\n`.repeat(n / 2)}"}`,
  spaces: (n) => `{${' '.repeat(n)}"a":1}`,
  keys: (n) => `{${Array.from({ length: n / 10 }, (_, key) => `"k${key}":1`).join(',')}}`,
  levels: (n) => '['.repeat(n),
  'length of a key': (n) => `{"${'k'.repeat(n)}":{"a":[1,{"b":1}]}}`,
};
/** Far beyond any body: a reader in proportion takes a moment, one that tries every run again takes hours. */
const CHARACTERS = 8 << 20;

test.each(Object.keys(GROWING))('a body of 8 MB is read in proportion, whatever its %s', async (dimension) => {
  const text = (GROWING[dimension] as (n: number) => string)(CHARACTERS);
  const guard = guardAgainstHanging(dimension);

  // Read or refused: both look at every character once.
  const read = (): string => {
    try {
      parseJsonText(text, Infinity);
      return 'read';
    } catch (cause) {
      return (cause as { readonly code?: string }).code ?? String(cause);
    }
  };

  expect(['read', 'MESSAGE_INVALID']).toContain(guard.step(read));
  await guard.close();
});

test('1 MB of [1,1,1… is refused after a few hundred values', () => {
  expect(() => parseJsonText(`[${'1,'.repeat(500_000)}1]`)).toThrow(
    expect.objectContaining({ facts: expect.objectContaining({ detail: 'The body has more than 400 values.' }) }),
  );
});

test('a client that pipelines requests and leaves gives back every place', async () => {
  const busy = await started({ limits: { inFlightMax: 10 } });
  let release = (): void => undefined;
  busy.hold = new Promise((resolve) => (release = resolve));
  const socket = await aConnection(busy.port);
  socket.write(head(ACCOUNT, `Authorization: Bearer ${TOKEN}\r\n`).repeat(8));
  await eventually('eight requests wait', () => busy.accountRequests.length === 8);
  socket.destroy();
  await eventually('each is counted', () => busy.requests().length === 8);
  release();
  busy.hold = undefined;

  const answers = await Promise.all(Array.from({ length: 8 }, () => busy.fetch(ACCOUNT, { token: TOKEN })));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 8 }, () => 200));
});

test('anonymous connections give way to verified ones, and to the first of another address', async () => {
  const { port } = await started({ limits: { connectionsMax: 20 } });
  const verified = await aConnection(port);
  const request = head(ACCOUNT, `Authorization: Bearer ${TOKEN}\r\n`);
  verified.write(request);
  expect(statusOf(String((await once(verified, 'data'))[0]))).toBe(200);
  const crowd: Socket[] = [];
  for (let count = 0; count < 40; count += 1) crowd.push(await aConnection(port));

  const balancer = await aConnection(port, '127.0.0.2');
  balancer.write(head(HEALTH, ''));
  expect(statusOf(String((await once(balancer, 'data'))[0]))).toBe(200);
  verified.write(request);
  expect(statusOf(String((await once(verified, 'data'))[0]))).toBe(200);
  await eventually('the oldest of the crowd are closed', () => crowd[0]?.destroyed === true);
  expect(verified.destroyed).toBe(false);
});
