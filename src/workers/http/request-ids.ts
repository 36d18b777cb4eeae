/** Request ids and W3C trace context. A caller's values are taken only when they are sane; nothing odd reaches a log. */
import { randomFillSync } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { RequestIds } from './exchange.js';

const REQUEST_ID = /^[\w.:-]{1,128}$/;
/** https://www.w3.org/TR/trace-context/ version 00; all-zero ids are invalid. */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-([0-9a-f]{2})$/;
const POOL_BYTES = 24 * 512;

export class RequestIdSource {
  readonly #pool = Buffer.alloc(POOL_BYTES);
  #used = POOL_BYTES;

  /** @param traced the trace context of a recorded span: the ids follow it */
  next(headers: IncomingHttpHeaders, traced?: string): RequestIds {
    // One call into the random source serves 512 requests.
    if (this.#used === POOL_BYTES) {
      randomFillSync(this.#pool);
      this.#used = 0;
    }
    const fresh = this.#pool.toString('hex', this.#used, this.#used + 24);
    this.#used += 24;
    const given = headers['x-request-id'];
    const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : fresh.slice(0, 32);
    if (traced !== undefined) return { requestId, traceId: traced.slice(3, 35), isTraced: true, traceparent: traced };
    const parent = headers['traceparent'];
    const trace = typeof parent === 'string' ? TRACEPARENT.exec(parent) : null;
    const traceId = trace?.[1] ?? fresh.slice(0, 32);
    return {
      requestId,
      traceId,
      isTraced: trace !== null,
      traceparent: `00-${traceId}-${fresh.slice(32)}-${trace?.[2] ?? '00'}`,
    };
  }
}
