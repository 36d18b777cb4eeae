import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { BROKER_ORDER, EdgeFixture, OWN, QUOTE, tokenFor } from '../../support/http-edge-fixture.js';
import { rawExchange, statusOf } from '../../support/raw-http.js';

let edge: EdgeFixture;
beforeEach(async () => {
  edge = await new EdgeFixture({
    more: { onUpgrade: () => Promise.reject(new TypeError('not a websocket')) },
  }).start();
});
afterEach(() => edge.stop());

const H2C = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n';
const ORDERS = `/api/v1/accounts/${OWN}/orders/stocks`;
const BODY = '{"symbol":"AAPL","qty":"1","side":"buy","type":"market","time_in_force":"day"}';

function lines(...given: string[]): string {
  return [...given, 'Host: a', `Authorization: Bearer ${tokenFor(['trade', 'market_data'])}`, ''].join('\r\n');
}

function order(headers: string): string {
  const head = lines(`POST ${ORDERS} HTTP/1.1`, 'Content-Type: application/json', `Content-Length: ${BODY.length}`);
  return `${head}${headers}\r\n${BODY}`;
}

test('a request that offers h2c is answered in HTTP/1.1', async () => {
  const answer = await rawExchange(
    edge.port,
    `${lines('GET /api/v1/stocks/quote/AAPL HTTP/1.1')}${H2C.replace('Upgrade,', 'Upgrade, close,')}\r\n`,
  );

  expect(statusOf(answer)).toBe(200);
  expect(answer).toContain(QUOTE);
  expect(edge.requests()).toEqual(['GET /api/v1/stocks/quote/{symbol} 200']);
});

test('an order that offers h2c keeps its body and is passed on once', async () => {
  const answer = await rawExchange(edge.port, order(H2C.replace('Upgrade,', 'Upgrade, close,')));

  expect(statusOf(answer)).toBe(201);
  expect(answer).toContain(BROKER_ORDER);
  expect(edge.accountRequests).toHaveLength(1);
  expect(edge.accountRequests).toMatchObject([{ kind: 'submit-order', order: { qty: '1' } }]);
});

test('the connection lives on, and requests pipelined around the offer are answered in their order', async () => {
  const quote = lines('GET /api/v1/stocks/quote/AAPL HTTP/1.1');
  const bytes = [order(''), `${quote}${H2C}\r\n`, `${lines('GET /nowhere HTTP/1.1')}Connection: close\r\n\r\n`];

  const answer = await rawExchange(edge.port, bytes.join(''));

  expect(answer.match(/HTTP\/1\.1 \d{3}/g)).toEqual(['HTTP/1.1 201', 'HTTP/1.1 200', 'HTTP/1.1 404']);
  expect(edge.requests()).toHaveLength(3);
});

test('what a request that offers h2c must hold to is held to', async () => {
  const twoLengths = order(`${H2C}Content-Length: ${BODY.length}\r\n`);
  const foreign = order(H2C).replace('Bearer h0', 'Bearer .h0');

  expect(statusOf(await rawExchange(edge.port, twoLengths))).toBe(400);
  expect(statusOf(await rawExchange(edge.port, foreign.replace('Upgrade,', 'Upgrade, close,')))).toBe(401);
  expect(edge.passedOn).toBe(0);
});

test('the address of the stream tells a client of another protocol what it speaks', async () => {
  const answer = await rawExchange(
    edge.port,
    `${lines('GET /api/v1/stream HTTP/1.1')}${H2C.replace('Upgrade,', 'Upgrade, close,')}\r\n`,
  );

  expect(statusOf(answer)).toBe(426);
  expect(answer).toMatch(/^Upgrade: websocket/m);
});
