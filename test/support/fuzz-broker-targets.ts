/** Parsers of what the broker and the hops in front of us send: they answer or say nothing, and never throw. */
import { Encoder } from '@msgpack/msgpack';
import fc from 'fast-check';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { parseUpdate } from '../../src/workers/accounts/trade-updates.js';
import { rateHeadersOf, retryAfterOf } from '../../src/workers/alpaca/rate-headers.js';
import { ProxyTrust } from '../../src/workers/http/proxy-trust.js';
import { RequestIdSource } from '../../src/workers/http/request-ids.js';
import { peekLastExpiration, peekPageToken } from '../../src/workers/market-data/page-peek.js';
import { FrameDecoder } from '../../src/workers/market-data/stream-frames.js';
import { compareDecimals, printDecimal, readDecimal } from '../../src/kernel/domain/decimal.js';
import { readOrder } from '../../src/workers/orders/core/order-match.js';
import { anyText, expectThat, json, near, objectOf } from './fuzz-arbitraries.js';

const encoder = new Encoder();
const records = fc.array(objectOf(['T', 'S', 't', 'bp', 'ap', 'msg', 'code']), { maxLength: 4 });
const dataFrames = fc.property(
  fc.oneof(
    fc.uint8Array({ maxLength: 120 }),
    // A good frame with one byte changed: nearly a frame.
    fc.tuple(records, fc.nat(), fc.nat(255)).map(([sent, at, byte]) => {
      const bytes = encoder.encode(sent);
      bytes[at % bytes.length] = byte;
      return bytes;
    }),
    // A timestamp of any second: most are no date.
    fc.uint8Array({ minLength: 12, maxLength: 12 }).map((time) => Uint8Array.of(0x91, 0xc7, 12, 0xff, ...time)),
  ),
  (frame) => {
    for (const record of new FrameDecoder().decode(frame))
      expectThat(typeof record === 'object', 'only records come out of a frame');
  },
);

const UPDATE =
  '{"stream":"trade_updates","data":{"event":"fill","timestamp":"2026-01-02T03:04:05Z","order":{"id":"a","filled_qty":"1"}}}';
const tradeUpdates = fc.property(fc.oneof(near(fc.constant(UPDATE)), near(json), anyText), (text) => {
  const heard = parseUpdate(text, 'now');
  if (heard !== undefined) JSON.parse(heard.update.data);
});

const brokerOrders = fc.property(
  fc.oneof(
    near(fc.constant(UPDATE)).map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 80 }),
  ),
  (bytes) => {
    const order = readOrder(bytes);
    expectThat(order === undefined || typeof order['id'] === 'string', 'an order has an id');
  },
);

const decimals = fc.property(
  fc.oneof(near(fc.constantFrom('10000.50', '-0.000000001', '+1e5')), fc.double(), anyText),
  (value) => {
    const read = readDecimal(value);
    if (read === undefined) return;
    const printed = printDecimal(read);
    expectThat(/^-?\d+(?:\.\d*[1-9])?$/.test(printed), 'a decimal is printed without exponent and empty zeros');
    // More than 60 digits are not read again.
    const again = readDecimal(printed);
    expectThat(again === undefined || compareDecimals(read, again) === 0, 'a decimal is what is printed of it');
  },
);

const page = fc.oneof(near(fc.constant('{"bars":[{"t":"x"}],"next_page_token":"abc"}')), near(json), anyText);
const pages = fc.property(page, fc.nat({ max: 200 }), (text, cut) => {
  const bytes = Buffer.from(text);
  const token = peekPageToken([bytes]);
  expectThat(token !== '', 'a page token is never empty');
  expectThat(peekPageToken([bytes.subarray(0, cut), bytes.subarray(cut)]) === token, 'a page may come in pieces');
  peekLastExpiration([bytes]);
});

const rateHeaders = fc.property(near(fc.constantFrom('200', '1e9', 'Wed, 21 Oct 2026 07:28:00 GMT')), (text) => {
  const headers = { 'x-ratelimit-limit': text, 'x-ratelimit-remaining': text, 'x-ratelimit-reset': text, date: text };
  const limits = rateHeadersOf(headers);
  expectThat(limits === undefined || Number.isFinite(limits.limit), 'a limit is a number');
  const seconds = retryAfterOf({ 'retry-after': text }, 0);
  expectThat(seconds === undefined || seconds >= 0, 'nobody is told to come back in the past');
});

const hops = fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), near(fc.constant('10.0.0.1'))), { maxLength: 5 });
const forwarded = fc.property(
  hops,
  fc.constantFrom<false | number | readonly string[]>(false, 1, 3, ['10.0.0.0/8', '::/0']),
  (list, trust) => {
    const told = { headers: { 'x-forwarded-for': list.join(', ') }, socket: { remoteAddress: '10.1.1.1' } };
    const address = new ProxyTrust(trust).clientAddress(told as unknown as IncomingMessage);
    expectThat(isIP(address) !== 0, 'a client has an address');
    expectThat(trust !== false || address === '10.1.1.1', 'nobody is believed who is not trusted');
  },
);

const ids = new RequestIdSource();
const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const requestIds = fc.property(near(fc.constant(TRACE)), anyText, (traceparent, requestId) => {
  const given = ids.next({ traceparent, 'x-request-id': requestId });
  expectThat(/^[\w.:-]{1,128}$/.test(given.requestId), 'a request id is plain');
  expectThat(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(given.traceparent), 'a trace context is well formed');
});

export const BROKER_PROPERTIES = {
  ...{ dataFrames, tradeUpdates, brokerOrders, decimals, pages, rateHeaders, forwarded, requestIds },
} as const;
