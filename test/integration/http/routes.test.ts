import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { BROKER_ORDER, EdgeFixture, OWN, QUOTE, tokenFor } from '../../support/http-edge-fixture.js';

let edge: EdgeFixture;
beforeEach(async () => {
  edge = await new EdgeFixture().start();
});
afterEach(() => edge.stop());

const trade = tokenFor(['trade']);
const ORDERS = `/api/v1/accounts/${OWN}/orders`;

test('a quote at hand is answered with the door’s own bytes, once counted', async () => {
  const token = tokenFor(['market_data'], []);

  const answer = await edge.fetch('/api/v1/stocks/quote/AAPL', { token });

  expect(await answer.text()).toBe(QUOTE);
  expect(answer.headers.get('server-timing')).toContain('gateway;dur=');
  expect(edge.requests()).toEqual(['GET /api/v1/stocks/quote/{symbol} 200']);
});

test('an order reaches the router as the caller wrote it, and the answer says where to find it', async () => {
  const body =
    '{"symbol":"AAPL","qty":"1.50","side":"buy","type":"limit","limit_price":12345678901.123456789,"time_in_force":"day"}';

  const answer = await edge.fetch(`${ORDERS}/stocks`, {
    method: 'POST',
    token: trade,
    body,
    headers: { 'idempotency-key': 'k1' },
  });

  expect(answer.status).toBe(201);
  expect(await answer.text()).toBe(BROKER_ORDER);
  expect(answer.headers.get('location')).toBe(`${ORDERS}/7b08df51-c1ac-453c-99f9-323a5f075f0d`);
  expect(edge.accountRequests).toMatchObject([
    {
      kind: 'submit-order',
      accountId: OWN,
      idempotencyKey: 'k1',
      order: { qty: '1.50', limit_price: '12345678901.123456789' },
    },
  ]);
});

test('an unknown address is 404, a known one with another method 405 with Allow', async () => {
  const missing = await edge.fetch('/api/v1/nothing', { token: trade });
  const wrong = await edge.fetch(ORDERS, { method: 'PUT', token: trade });

  expect(missing.status).toBe(404);
  expect(wrong.status).toBe(405);
  expect(wrong.headers.get('allow')).toBe('DELETE, GET, HEAD');
  expect(edge.requests()).toEqual(['GET unmatched 404', 'PUT unmatched 405']);
});

test('health, document and docs page are open and load nothing from elsewhere', async () => {
  const health = await edge.fetch('/health');
  const page = await edge.fetch('/docs');
  const document = (await (await edge.fetch('/api/v1/openapi.json')).json()) as { openapi: string };

  expect(health.status).toBe(200);
  expect(document.openapi).toBe('3.1.0');
  expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
  expect(await page.text()).not.toMatch(/https?:\/\//);
});

test('a closing edge finishes the order in flight', async () => {
  let release = (): void => undefined;
  edge.hold = new Promise((resolve) => (release = resolve));
  const body = '{"symbol":"AAPL","qty":"1","side":"buy","type":"market","time_in_force":"day"}';
  const pending = edge.fetch(`${ORDERS}/stocks`, { method: 'POST', token: trade, body });
  while (edge.accountRequests.length === 0) await new Promise((resolve) => setImmediate(resolve));

  const closed = edge.edge.close({ deadlineMs: 5_000 });
  release();

  const answer = await pending;
  expect(answer.status).toBe(201);
  expect(answer.headers.get('connection')).toBe('close');
  await closed;
});
