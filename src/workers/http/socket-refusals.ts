/**
 * Answers that never become an Express response: broken heads, upgrades, CONNECT. Each is counted once and its socket
 * ends, unless the stream edge takes it over.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { problemStatus, type Problem } from '../../kernel/domain/problem.js';
import type { Log } from '../../kernel/runtime/log.js';
import { carriedBy } from './exchange.js';
import { framingProblem } from './framing.js';
import { rawProblem } from './problem-document.js';
import type { ProxyTrust } from './proxy-trust.js';
import type { RequestIdSource } from './request-ids.js';
import { BASE } from './routes/route.js';
import type { Sender } from './sending.js';
import type { Traffic } from './traffic.js';

const STREAM_PATH = `${BASE}/stream`;
const CLIENT_CLOSED = 499;

/** Writes the answer itself and tells its status: 101 when the socket is taken over. */
export type UpgradeHandler = (
  req: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  caller: { readonly address: string },
) => Promise<number>;

export class SocketRefusals {
  constructor(
    private readonly deps: {
      readonly ids: RequestIdSource;
      readonly traffic: Traffic;
      readonly sender: Sender;
      readonly log: Log;
      readonly proxies: ProxyTrust;
      readonly requireHttps: boolean;
      readonly draining: () => boolean;
      readonly onUpgrade: UpgradeHandler | undefined;
    },
  ) {}

  clientError(cause: Error, socket: Duplex): void {
    const { code } = cause as { readonly code?: string };
    // The other side went away: no request was spoken that could be answered.
    if (code === 'ECONNRESET' || code === 'EPIPE' || !socket.writable) {
      socket.destroy();
      return;
    }
    const problem = problemOf(code);
    const exchange = carriedBy(socket);
    if (exchange === undefined || exchange.settled) {
      this.#refuse(socket, undefined, problem);
      return;
    }
    // The body of a request in progress broke: that request gets the answer, and is counted with it.
    if (!exchange.req.complete && !exchange.res.headersSent) {
      exchange.mustClose = true;
      this.deps.sender.problem(exchange, problem);
      return;
    }
    // A broken head behind a request that still waits: an answer now would be taken for that request's.
    this.deps.traffic.countBare(undefined, 'unmatched', problemStatus(problem));
    socket.destroy();
  }

  upgrade(req: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Node took its own listener off: an error here would end the process.
    socket.on('error', () => socket.destroy());
    const path = (req.url ?? '').split('?', 1)[0];
    const { onUpgrade } = this.deps;
    const problem = framingProblem(req) ?? (path === STREAM_PATH ? this.#streamProblem(req) : NO_UPGRADE);
    if (problem !== undefined || onUpgrade === undefined) {
      this.#refuse(socket, req, problem ?? NO_UPGRADE, path === STREAM_PATH ? STREAM_PATH : 'unmatched');
      return;
    }
    const count = onceOnly((status) => this.deps.traffic.countBare(req.method, STREAM_PATH, status));
    // The client may leave while its token is looked at.
    socket.once('close', () => count(CLIENT_CLOSED));
    const address = this.deps.proxies.clientAddress(req);
    Promise.resolve()
      .then(() => onUpgrade(req, socket, head, { address }))
      .then(count, (cause: unknown) => {
        this.deps.log.error({ cause }, 'upgrade failed');
        count(500);
        socket.destroy();
      });
  }

  #streamProblem(req: IncomingMessage): Problem | undefined {
    if (this.deps.draining()) {
      return { code: 'draining', detail: 'This worker takes no new streams; connect again.', retryAfterS: 1 };
    }
    if (!this.deps.requireHttps || this.deps.proxies.isSecure(req)) return undefined;
    return { code: 'https-required', detail: 'This gateway is configured to serve HTTPS only.' };
  }

  connect(req: IncomingMessage, socket: Duplex): void {
    socket.on('error', () => socket.destroy());
    this.#refuse(socket, req, {
      code: 'method-not-allowed',
      detail: 'This is not a proxy.',
      headers: { Allow: 'GET, HEAD' },
    });
  }

  #refuse(socket: Duplex, req: IncomingMessage | undefined, problem: Problem, route = 'unmatched'): void {
    const { requestId } = this.deps.ids.next(req?.headers ?? {});
    this.deps.traffic.countBare(req?.method, route, problemStatus(problem));
    socket.end(rawProblem(problem, requestId), () => socket.destroy());
  }
}

const NO_UPGRADE: Problem = {
  code: 'request-malformed',
  detail: `Only ${STREAM_PATH} takes an upgrade; speak plain HTTP/1.1 elsewhere.`,
};

function problemOf(code: string | undefined): Problem {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return { code: 'headers-too-large', detail: 'The request line and headers are larger than 8 KB.' };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { code: 'request-timeout', detail: 'The request was not complete in time.' };
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { code: 'payload-too-large', detail: 'The chunk extensions are too large.' };
    default:
      return { code: 'request-malformed', detail: 'The bytes are not an HTTP/1.1 request.' };
  }
}

function onceOnly(act: (status: number) => void): (status: number) => void {
  let done = false;
  return (status) => {
    if (done) return;
    done = true;
    act(status);
  };
}
