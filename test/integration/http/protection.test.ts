/** What the edge refuses for the good of everybody: too many requests, too much at once, plain text, a worker that leaves. */
import { connect } from 'node:net';
import { gunzipSync, gzipSync } from 'node:zlib';
import { afterEach, expect, test } from '@jest/globals';
import { EdgeFixture, OTHER, OWN, tokenFor } from '../../support/http-edge-fixture.js';
import { eventually } from '../../support/eventually.js';
import { rawExchange, statusOf } from '../../support/raw-http.js';

let edge: EdgeFixture | undefined;
afterEach(() => edge?.stop());

async function started(...options: ConstructorParameters<typeof EdgeFixture>): Promise<EdgeFixture> {
  edge = await new EdgeFixture(...options).start();
  return edge;
}

const token = tokenFor(['read', 'trade', 'market_data', 'admin'], [OWN, OTHER]);
const QUOTE = '/api/v1/stocks/quote/AAPL';
const account = (id: string): string => `/api/v1/accounts/${id}/account`;
const orders = `/api/v1/accounts/${OWN}/orders`;
const ORDER = {
  method: 'POST',
  token,
  body: '{"symbol":"A","qty":"1","side":"buy","type":"market","time_in_force":"day"}',
};

async function codeOf(answer: Response): Promise<string> {
  return ((await answer.json()) as { code: string }).code;
}

test('the limit of a subject counts down in RateLimit and then refuses with Retry-After, whatever the route', async () => {
  const { fetch } = bound(await started({ limits: { perSubjectPerMinute: 2 } }));

  const first = await fetch(QUOTE, { token });
  const second = await fetch(account(OWN), { token });
  const third = await fetch(QUOTE, { token });

  expect(first.headers.get('ratelimit-policy')).toBe('"subject";q=2;w=60');
  expect(first.headers.get('ratelimit')).toMatch(/^"subject";r=1;t=\d+$/);
  expect(second.headers.get('ratelimit')).toMatch(/^"subject";r=0;t=\d+$/);
  expect(third.status).toBe(429);
  expect(await codeOf(third)).toBe('rate-limited');
  expect(third.headers.get('ratelimit')).toMatch(/^"subject";r=0;t=\d+$/);
  const seconds = Number(third.headers.get('retry-after'));
  expect(seconds).toBeGreaterThan(0);
  expect(seconds).toBeLessThanOrEqual(60);
  expect(edge?.passedOn).toBe(2);
});

test('the limit of an account leaves other accounts and market data alone', async () => {
  const { fetch } = bound(await started({ limits: { perAccountPerMinute: 1 } }));

  const first = await fetch(account(OWN), { token });
  const again = await fetch(account(OWN), { token });
  const other = await fetch(account(OTHER), { token });
  const quote = await fetch(QUOTE, { token });

  expect(first.headers.get('ratelimit')).toMatch(/^"account";r=0;t=\d+$/);
  expect([first.status, again.status, other.status, quote.status]).toEqual([200, 429, 200, 200]);
  expect(again.headers.get('ratelimit-policy')).toBe('"account";q=1;w=60');
  expect(edge?.accountRequests.map(({ accountId }) => accountId)).toEqual([OWN, OTHER]);
});

test('without a limit no answer speaks of one', async () => {
  const answer = await (await started()).fetch(QUOTE, { token });

  expect(answer.headers.get('ratelimit')).toBeNull();
});

test('reads are shed while orders still pass; then orders are shed, and a cancel and health still pass', async () => {
  const busy = await started({ limits: { inFlightMax: 10 } });
  let release = (): void => undefined;
  busy.hold = new Promise((resolve) => (release = resolve));
  const waiting = Array.from({ length: 8 }, () => busy.fetch(account(OWN), { token }));
  await eventually('eight reads wait', () => busy.accountRequests.length === 8);

  const read = await busy.fetch(account(OWN), { token });
  waiting.push(busy.fetch(`${orders}/stocks`, ORDER), busy.fetch(`${orders}/stocks`, ORDER));
  await eventually('two orders wait', () => busy.accountRequests.length === 10);
  const order = await busy.fetch(`${orders}/stocks`, ORDER);
  waiting.push(busy.fetch(orders, { method: 'DELETE', token }));
  await eventually('a cancel waits', () => busy.accountRequests.length === 11);
  const health = await busy.fetch('/health');
  release();

  for (const refused of [read, order]) {
    expect(refused.status).toBe(503);
    expect(refused.headers.get('retry-after')).toBe('1');
  }
  expect(await codeOf(read)).toBe('overloaded');
  // It was not sent: saying so lets a caller try again at once.
  expect(await order.json()).toMatchObject({
    code: 'overloaded',
    retryable: true,
  });
  expect(health.status).toBe(200);
  expect((await Promise.all(waiting)).map(({ status }) => status)).toEqual([
    ...Array<number>(8).fill(200),
    201,
    201,
    207,
  ]);
  const shed = busy.counts.filter(({ name }) => name === 'opitios_http_shed_total').map(({ labels }) => labels['work']);
  expect(shed).toEqual(['read', 'order']);
});

test('a draining edge answers and ends each connection, and health says so', async () => {
  const leaving = await started();
  leaving.edge.drain();

  const answer = await leaving.fetch(QUOTE, { token });
  const health = await leaving.fetch('/health/ready');

  expect([answer.status, answer.headers.get('connection')]).toEqual([200, 'close']);
  expect([health.status, await health.json()]).toEqual([503, { status: 'draining' }]);
});

test('a request that is complete only after the linger is refused with draining and not passed on', async () => {
  const leaving = await started();
  const idle = rawExchange(leaving.port, 'GET /health HTTP/1.1\r\nHost: a\r\n\r\n', 10_000);
  const late = connect(leaving.port, '127.0.0.1');
  late.write(`GET ${account(OWN)} HTTP/1.1\r\nHost: a\r\n`);
  await eventually('the other connection has been answered', () => leaving.requests().length === 1);

  const closed = leaving.edge.close({ deadlineMs: 3_000 });
  // The edge cuts idle connections once it lingers no more.
  await idle;
  late.write(`Authorization: Bearer ${token}\r\n\r\n`);
  let answer = '';
  for await (const chunk of late) answer += String(chunk);

  expect(statusOf(answer)).toBe(503);
  expect(answer).toContain('"code":"draining"');
  expect(answer).toMatch(/^Retry-After: 1\r$/im);
  expect(answer).toMatch(/^Connection: close\r$/im);
  expect(leaving.passedOn).toBe(0);
  await closed;
});

test('bytes that a door compressed pass as they are, and only a caller who takes gzip is said to', async () => {
  const text = JSON.stringify({
    underlying_symbol: 'AAPL',
    contracts: [],
    count: 0,
  });
  const server = await started();
  server.marketAnswer = {
    kind: 'answer',
    status: 200,
    headers: {
      'content-type': 'application/json',
      'content-encoding': 'gzip',
      vary: 'Accept-Encoding',
    },
    body: gzipSync(text),
  };
  const ask = (coding: string): Promise<string> =>
    rawExchange(
      server.port,
      `GET /api/v1/options/chain/AAPL HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n${coding}Connection: close\r\n\r\n`,
    );

  const answer = await ask('Accept-Encoding: br, gzip\r\n');
  await ask('Accept-Encoding: gzip;q=0\r\n');
  await ask('');

  expect(answer).toMatch(/^content-encoding: gzip\r$/m);
  expect(answer).toMatch(/^vary: Accept-Encoding\r$/im);
  const body = Buffer.from(answer.slice(answer.indexOf('\r\n\r\n') + 4), 'latin1');
  expect(gunzipSync(body).toString()).toBe(text);
  expect(server.marketRequests).toMatchObject([
    { query: { gzip: true } },
    { query: { gzip: false } },
    { query: { gzip: false } },
  ]);
});

const PROXIED = {
  'x-forwarded-proto': 'https',
  'x-forwarded-for': '203.0.113.9',
};

test('where HTTPS is required a plain request is refused before its token is looked at, and health is not', async () => {
  const { fetch } = bound(await started({ server: { requireHttps: true } }));

  const plain = await fetch(account(OWN), { token });
  const claimed = await fetch(account(OWN), { token, headers: PROXIED });
  const health = await fetch('/health');

  expect([plain.status, await codeOf(plain)]).toEqual([403, 'https-required']);
  // Nobody named this hop: whoever sends the header could be anybody.
  expect([claimed.status, await codeOf(claimed)]).toEqual([403, 'https-required']);
  expect(health.status).toBe(200);
  expect(edge?.passedOn).toBe(0);
});

test('a proxy that the operator named vouches for HTTPS and for the address in the log', async () => {
  const { fetch } = bound(
    await started({
      server: { requireHttps: true, trustProxy: ['127.0.0.0/8'] },
    }),
  );

  const vouched = await fetch(account(OWN), { token, headers: PROXIED });
  const plain = await fetch(account(OWN), {
    token,
    headers: { ...PROXIED, 'x-forwarded-proto': 'http' },
  });

  expect([vouched.status, plain.status]).toEqual([200, 403]);
  expect(edge?.logLines.map(({ client }) => client)).toEqual(['203.0.113.9', '203.0.113.9']);
});

test('the address that an unnamed hop claims stays out of the log', async () => {
  const answer = await (await started()).fetch(account(OWN), { token, headers: PROXIED });

  expect(answer.status).toBe(200);
  expect(edge?.logLines.map(({ client }) => client)).toEqual(['127.0.0.1']);
});

test('Strict-Transport-Security is sent where HTTPS is, and nowhere else', async () => {
  const plain = await (await started()).fetch(QUOTE, { token });
  await edge?.stop();
  const secure = await started({
    server: { requireHttps: true, trustProxy: 1 },
  });
  const answer = await secure.fetch(QUOTE, { token, headers: PROXIED });
  const refused = await rawExchange(secure.port, `GET ${QUOTE} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);

  expect(plain.headers.get('strict-transport-security')).toBeNull();
  expect(answer.headers.get('strict-transport-security')).toBe('max-age=31536000; includeSubDomains');
  expect(statusOf(refused)).toBe(403);
  expect(refused).toMatch(/^Strict-Transport-Security: max-age=31536000/im);
});

function bound(server: EdgeFixture): Pick<EdgeFixture, 'fetch'> {
  return { fetch: server.fetch.bind(server) };
}
