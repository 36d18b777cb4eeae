import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { FRAMING_CASES, POST } from '../support/framing-cases.js';
import { EdgeFixture } from '../support/http-edge-fixture.js';
import { rawExchange, statusOf } from '../support/raw-http.js';

let edge: EdgeFixture;
beforeAll(async () => {
  edge = await new EdgeFixture({ limits: { headersTimeoutMs: 1_000, requestTimeoutMs: 1_500 } }).start();
});
afterAll(() => edge.stop());

test.each(FRAMING_CASES)(
  '%s is refused, closed, counted once and passed on to nobody',
  async (_name, bytes, status) => {
    const passedOn = edge.passedOn;
    const counted = edge.requests().length;

    const answer = await rawExchange(edge.port, Buffer.from(bytes, 'latin1'));

    expect(statusOf(answer)).toBe(status);
    expect(answer).toContain('application/problem+json');
    expect(answer.toLowerCase()).toContain('connection: close');
    expect(answer.match(/^HTTP\/1\.1 /gm)).toHaveLength(1);
    expect(edge.passedOn).toBe(passedOn);
    expect(edge.requests().slice(counted)).toHaveLength(1);
    expect(edge.requests().at(-1)).toContain(` ${status}`);
  },
);

test('a head that never ends is cut with 408', async () => {
  const answer = await rawExchange(edge.port, 'GET / HTTP/1.1\r\nHost: a\r\nX-A: ', 6_000);

  expect(statusOf(answer)).toBe(408);
  expect(edge.requests().at(-1)).toBe('OTHER unmatched 408');
});

test('a body that never ends is cut with 408 and counted with its route', async () => {
  const answer = await rawExchange(edge.port, `${POST}Content-Length: 50\r\n\r\n{"sym`, 6_000);

  expect(statusOf(answer)).toBe(408);
  expect(edge.requests().at(-1)).toBe('POST /api/v1/accounts/{account_id}/orders/stocks 408');
});
