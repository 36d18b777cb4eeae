/**
 * Requests that two parsers could read differently, as bytes, with the status that a direct sender gets
 * (docs/security.md#framing).
 */
import { OWN, tokenFor } from './http-edge-fixture.js';

const TOKEN = tokenFor(['trade', 'market_data']);
export const POST = `POST /api/v1/accounts/${OWN}/orders/stocks HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\n`;
export const GET = `GET /api/v1/clock HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${TOKEN}\r\n`;
export const ORDER = '{"symbol":"AAPL","qty":"1","side":"buy","type":"market","time_in_force":"day"}';
const CHUNK = `${ORDER.length.toString(16)}\r\n${ORDER}\r\n`;
const many = Array.from({ length: 70 }, (_, index) => `X-${index}: 1\r\n`).join('');

export const FRAMING_CASES: readonly (readonly [name: string, bytes: string, status: number])[] = [
  [
    'content-length with transfer-encoding',
    `${POST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNK}0\r\n\r\n`,
    400,
  ],
  ['two different content-lengths', `${POST}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello`, 400],
  ['two equal content-lengths', `${POST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello`, 400],
  ['a list of content-lengths', `${POST}Content-Length: 5, 5\r\n\r\nhello`, 400],
  ['a signed content-length', `${POST}Content-Length: +5\r\n\r\nhello`, 400],
  ['a hexadecimal content-length', `${POST}Content-Length: 0x5\r\n\r\nhello`, 400],
  ['a negative content-length', `${POST}Content-Length: -5\r\n\r\n`, 400],
  ['chunked, then identity', `${POST}Transfer-Encoding: chunked, identity\r\n\r\n${CHUNK}0\r\n\r\n`, 400],
  [
    'two transfer-encodings',
    `${POST}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNK}0\r\n\r\n`,
    400,
  ],
  ['an unknown transfer-encoding', `${POST}Transfer-Encoding: xchunked\r\n\r\n${CHUNK}0\r\n\r\n`, 400],
  ['a space before the colon', `${POST}Transfer-Encoding : chunked\r\n\r\n${CHUNK}0\r\n\r\n`, 400],
  ['a vertical tab in the value', `${POST}Transfer-Encoding: \u000bchunked\r\n\r\n${CHUNK}0\r\n\r\n`, 400],
  ['a folded header', `${POST}X-A: 1\r\n Transfer-Encoding: chunked\r\n\r\n`, 400],
  ['a bare line feed', `GET /api/v1/clock HTTP/1.1\nHost: a\n\n`, 400],
  ['a bare carriage return', `${GET}X-A: 1\rX-B: 2\r\n\r\n`, 400],
  ['a NUL in a value', `${GET}X-A: 1\u00002\r\n\r\n`, 400],
  ['a line feed in a chunk extension', `${POST}Transfer-Encoding: chunked\r\n\r\n5;a\nb\r\nhello\r\n0\r\n\r\n`, 400],
  ['a chunk size with 0x', `${POST}Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n`, 400],
  ['a chunk size with a trailing space', `${POST}Transfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n`, 400],
  ['a chunk without its line end', `${POST}Transfer-Encoding: chunked\r\n\r\n5\r\nhello0\r\n\r\n`, 400],
  ['a chunk ended by a line feed', `${POST}Transfer-Encoding: chunked\r\n\r\n5\nhello\n0\n\n`, 400],
  ['no host', 'GET /api/v1/clock HTTP/1.1\r\n\r\n', 400],
  ['20 KB of headers', `${GET}X-A: ${'a'.repeat(20_000)}\r\n\r\n`, 431],
  ['two hosts', `${GET}Host: b\r\n\r\n`, 400],
  ['two authorizations', `${GET}Authorization: Bearer x.y.z\r\n\r\n`, 400],
  ['an absolute target of another host', GET.replace('/api/v1/clock', 'http://b/api/v1/clock') + '\r\n', 400],
  [
    'HTTP/1.0 with a transfer-encoding',
    `${POST.replace('1.1', '1.0')}Transfer-Encoding: chunked\r\n\r\n${CHUNK}0\r\n\r\n`,
    400,
  ],
  ['an underscore in a header name', `${GET}X_A: 1\r\n\r\n`, 400],
  ['more than 64 headers', `${GET}${many}\r\n`, 431],
  [
    'two idempotency keys',
    `${POST}Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: ${ORDER.length}\r\n\r\n${ORDER}`,
    400,
  ],
  ['a target longer than 6 KB', `GET /${'a'.repeat(7_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414],
  ['a target that is no path', 'GET api HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['an unknown expectation', `${GET}Expect: tea\r\n\r\n`, 417],
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n', 405],
  ['an upgrade of another address', `${GET}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`, 400],
  ['bytes that are no request', '\u0016\u0003\u0001garbage\r\n\r\n', 400],
  ['a method nobody knows', 'FETCH / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
];
