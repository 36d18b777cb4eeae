/** Clients that send slowly, never, or too much, at both doors of a whole gateway; the others notice nothing. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { startGateway, type GatewayProcess } from '../support/gateway-process.js';
import { rawExchange, statusOf } from '../support/raw-http.js';

let gateway: GatewayProcess;
beforeAll(async () => {
  gateway = await startGateway({ accounts: 2, workers: 1 });
}, 60_000);
afterAll(() => gateway.stop(), 30_000);

const portOf = (url: string): number => Number(new URL(url).port);

/** Sends one byte after the other, half a second apart, until the other side ends it; tells what it said. */
function drip(port: number, start: string): Promise<{ readonly answer: string; readonly seconds: number }> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const begin = performance.now();
    let answer = '';
    socket.write(start);
    const timer = setInterval(() => socket.write('a'), 500);
    socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
    socket.on('error', () => undefined);
    socket.once('close', () => {
      clearInterval(timer);
      resolve({ answer, seconds: (performance.now() - begin) / 1000 });
    });
  });
}

test('heads and bodies that drip are cut at both doors while others are answered', async () => {
  const token = await gateway.token();
  const post = (path: string): string =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 900\r\n\r\n{"a":"`;
  const account = gateway.accountIds[0] ?? '';
  const dripping = Promise.all([
    drip(portOf(gateway.url), 'GET /api/v1/clock HTTP/1.1\r\nHost: a\r\nX-A: '),
    drip(portOf(gateway.url), post(`/api/v1/accounts/${account}/orders/stocks`)),
    drip(portOf(gateway.adminUrl), 'GET /pool HTTP/1.1\r\nHost: a\r\nX-A: '),
    drip(portOf(gateway.adminUrl), post('/admin/halt')),
  ]);
  for (let turn = 0; turn < 10; turn += 1) expect((await gateway.get('/accounts')).status).toBe(200);

  const cut = await dripping;
  expect(cut.map(({ answer }) => statusOf(answer))).toEqual([408, 408, 408, 408]);
  console.info(`slow heads and bodies were cut after ${cut.map(({ seconds }) => seconds.toFixed(1)).join(', ')} s`);
}, 60_000);

test('five hundred connections that say nothing block nobody', async () => {
  const idle: Socket[] = [];
  for (let count = 0; count < 500; count += 1) {
    const socket = connect(portOf(gateway.url), '127.0.0.1').on('error', () => undefined);
    idle.push(socket);
    if (count % 100 === 99) await once(socket, 'connect');
  }
  const answers = await Promise.all(Array.from({ length: 20 }, () => gateway.get('/accounts')));
  for (const socket of idle) socket.destroy();

  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
}, 30_000);

test('too many and too large headers get 431 and the connection ends', async () => {
  const many = Array.from({ length: 70 }, (_, index) => `X-${index}: 1\r\n`).join('');
  for (const headers of [many, `X-A: ${'a'.repeat(20_000)}\r\n`]) {
    const answer = await rawExchange(portOf(gateway.url), `GET /api/v1/health HTTP/1.1\r\nHost: a\r\n${headers}\r\n`);
    expect(statusOf(answer)).toBe(431);
    expect(answer.toLowerCase()).toContain('connection: close');
  }
});
