/**
 * The framing cases once more, through nginx as it is shipped. Rule: what nginx answered as one request was one request
 * here too, or it was refused and the connection closed. A disagreement would leave somebody else an answer not his.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { FRAMING_CASES, GET, ORDER, POST } from '../support/framing-cases.js';
import { EdgeFixture } from '../support/http-edge-fixture.js';
import { hasNginx, startNginx, type NginxProcess } from '../support/nginx-process.js';
import { rawExchange, statusOf } from '../support/raw-http.js';

const isThere = hasNginx();
if (!isThere) console.warn('SKIPPED: nginx is not installed, framing through a proxy is not tested');
const throughNginx = isThere ? test : test.skip;

let edge: EdgeFixture;
let nginx: NginxProcess;
beforeAll(async () => {
  if (!isThere) return;
  edge = await new EdgeFixture({ server: { trustProxy: ['127.0.0.1/32'] } }).start();
  nginx = await startNginx(edge.port);
});
afterAll(async () => {
  if (!isThere) return;
  await nginx.stop();
  await edge.stop();
});

const INNER = 'GET /api/v1/health HTTP/1.1\r\nHost: inner\r\n\r\n';
const SMUGGLED: readonly (readonly [name: string, bytes: string, status: number])[] = [
  ['a request inside a body of its length', `${POST}Content-Length: ${INNER.length}\r\n\r\n${INNER}`, 400],
  [
    'a request behind a chunked body',
    `${POST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${INNER}`,
    400,
  ],
  [
    'a request behind a chunked body with a tab',
    `${POST}Content-Length: 4\r\nTransfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n${INNER}`,
    400,
  ],
  [
    'a request behind xchunked',
    `${POST}Content-Length: 4\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n${INNER}`,
    400,
  ],
  ['a request in a GET body', `${GET}Content-Length: ${INNER.length}\r\n\r\n${INNER}`, 400],
  ['a length of zero and a request', `${POST}Content-Length: 0\r\n\r\n${INNER}`, 400],
  ['two orders in a row', `${POST}Content-Length: ${ORDER.length}\r\n\r\n${ORDER}`.repeat(2), 201],
];

throughNginx.each([...FRAMING_CASES, ...SMUGGLED])(
  '%s is the same number of requests to nginx and to us, or refused and closed',
  async (_name, bytes) => {
    const seen = edge.requests().length;

    const answer = await rawExchange(nginx.port, Buffer.from(bytes, 'latin1'), 400);

    const answers = answer.match(/HTTP\/1\.[01] \d{3}/g)?.length ?? 0;
    const here = edge.requests().length - seen;
    const isRefused = answers === 0 || statusOf(answer) >= 400;
    expect(here).toBeLessThanOrEqual(answers);
    if (here < answers) expect([isRefused, answers - here]).toEqual([true, 1]);
    // The connection that nginx keeps to us is clean: the next caller gets the answer to his own question.
    const next = await rawExchange(nginx.port, 'GET /api/v1/nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(statusOf(next)).toBe(404);
  },
);
