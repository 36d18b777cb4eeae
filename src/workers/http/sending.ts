/** Writes an answer: status, precomputed headers and finished bytes in one go. The only place that calls writeHead. */
import { problemStatus, type Problem } from '../../kernel/domain/problem.js';
import type { Exchange } from './exchange.js';
import { problemDocument, problemHeaders } from './problem-document.js';
import type { SecurityHeaders } from './security-headers.js';
import type { Reply } from './routes/route.js';
import { sendInSlices } from './slices.js';

/** Ours to decide, or meant for one connection only (RFC 9110 7.6.1). */
const NOT_PASSED_ON = new Set([
  'connection',
  'content-length',
  'keep-alive',
  'proxy-authenticate',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'date',
  'server',
  'set-cookie',
  'x-request-id',
  'server-timing',
]);

/** Above this copying costs more than a second piece in the write. */
const ONE_WRITE_BYTES_MAX = 8 * 1_024;

export interface Sender {
  reply(exchange: Exchange, reply: Reply): void;
  problem(exchange: Exchange, problem: Problem): void;
}

export class AnswerSender implements Sender {
  constructor(
    private readonly security: SecurityHeaders,
    private readonly options: {
      readonly monotonicMs: () => number;
      /** Every answer of a draining server ends its connection. */
      readonly draining: () => boolean;
      /** The answer has been given to the connection. */
      readonly answered: (exchange: Exchange) => void;
    },
  ) {}

  reply(exchange: Exchange, reply: Reply): void {
    exchange.queueMs = reply.queueMs ?? 0;
    exchange.meshMs = reply.meshMs ?? 0;
    exchange.upstreamMs = reply.upstreamMs ?? 0;
    if (reply.kind === 'problem') {
      this.problem(exchange, reply.problem);
      return;
    }
    const headers = this.#commonHeaders(exchange, reply.page === true);
    for (const name in reply.headers) {
      const value = reply.headers[name];
      if (value !== undefined && !NOT_PASSED_ON.has(name)) headers.push(name, value);
    }
    if (isUnchanged(exchange, reply.headers['etag'])) {
      this.#write(exchange, 304, headers, undefined);
      return;
    }
    if (reply.headers['cache-control'] === undefined) headers.push('Cache-Control', 'no-store');
    // Not 'close': of a connection that ended the kernel may be sending still.
    if (reply.sent !== undefined) exchange.res.once('finish', reply.sent);
    this.#write(exchange, reply.status, headers, reply.body);
  }

  problem(exchange: Exchange, problem: Problem): void {
    exchange.problemCode = problem.code;
    const headers = this.#commonHeaders(exchange, false);
    headers.push(...problemHeaders(problem));
    const body = Buffer.from(JSON.stringify(problemDocument(problem, exchange.ids)));
    this.#write(exchange, problemStatus(problem), headers, body);
  }

  #commonHeaders(exchange: Exchange, page: boolean): string[] {
    const headers = [...(page ? this.security.page : this.security.api)];
    headers.push('X-Request-ID', exchange.ids.requestId, 'traceparent', exchange.ids.traceparent);
    headers.push('Server-Timing', this.#timing(exchange));
    if (exchange.extraHeaders.length > 0) headers.push(...exchange.extraHeaders);
    if (exchange.mustClose || this.options.draining()) headers.push('Connection', 'close');
    return headers;
  }

  #timing(exchange: Exchange): string {
    const { queueMs, meshMs, upstreamMs } = exchange;
    const elsewhere = queueMs + meshMs + upstreamMs;
    const gateway = milliseconds(Math.max(0, this.options.monotonicMs() - exchange.startedMs - elsewhere));
    if (elsewhere === 0) return `gateway;dur=${gateway}`;
    return `queue;dur=${milliseconds(queueMs)}, gateway;dur=${gateway}, mesh;dur=${milliseconds(meshMs)}, upstream;dur=${milliseconds(upstreamMs)}`;
  }

  #write(exchange: Exchange, status: number, headers: string[], body: Uint8Array | undefined): void {
    const { res } = exchange;
    // The client may have gone while the owner worked: there is nobody to tell.
    if (res.headersSent || res.destroyed) return;
    exchange.status = status;
    const bodiless = body === undefined || status === 204 || status === 304;
    if (!bodiless) headers.push('Content-Length', String(body.byteLength));
    res.writeHead(status, headers);
    if (bodiless) res.end();
    // Head and body as one text leave in one plain write; latin1 keeps every byte as it is.
    else if (body.byteLength <= ONE_WRITE_BYTES_MAX) res.end(latin1(body), 'latin1');
    else sendInSlices(res, body);
    this.options.answered(exchange);
  }
}

function latin1(body: Uint8Array): string {
  return Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('latin1');
}

function milliseconds(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** RFC 9110 13.1.2: weak comparison, for GET and HEAD. */
function isUnchanged(exchange: Exchange, etag: string | undefined): boolean {
  const asked = exchange.req.headers['if-none-match'];
  if (etag === undefined || asked === undefined) return false;
  if (exchange.req.method !== 'GET' && exchange.req.method !== 'HEAD') return false;
  const bare = etag.replace(/^W\//, '');
  return asked.trim() === '*' || asked.split(',').some((one) => one.trim().replace(/^W\//, '') === bare);
}
