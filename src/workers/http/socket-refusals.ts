/**
 * Answers that never become an Express response: broken heads, upgrades, CONNECT. Each is counted once and its socket
 * ends, unless the stream edge takes it over.
 */
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { problemStatus, type Problem } from '../../kernel/domain/problem.js';
import { carriedBy } from './exchange.js';
import { framingProblem } from './framing.js';
import { rawProblem } from './problem-document.js';
import type { RequestIdSource } from './request-ids.js';
import { BASE } from './routes/route.js';
import type { Sender } from './sending.js';
import type { Traffic } from './traffic.js';

const STREAM_PATH = `${BASE}/stream`;
const STATUS_LINE = /^HTTP\/1\.1 (\d{3})/;
const CLIENT_CLOSED = 499;

export class SocketRefusals {
  constructor(
    private readonly deps: {
      readonly ids: RequestIdSource;
      readonly traffic: Traffic;
      readonly sender: Sender;
      readonly onUpgrade: ((req: IncomingMessage, socket: Duplex, head: Buffer) => void) | undefined;
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
    const problem = framingProblem(req) ?? (path === STREAM_PATH ? undefined : NO_UPGRADE);
    if (problem !== undefined || this.deps.onUpgrade === undefined) {
      this.#refuse(socket, req, problem ?? NO_UPGRADE);
      return;
    }
    countAnswer(socket, (status) => this.deps.traffic.countBare(req.method, STREAM_PATH, status));
    this.deps.onUpgrade(req, socket, head);
  }

  connect(req: IncomingMessage, socket: Duplex): void {
    socket.on('error', () => socket.destroy());
    this.#refuse(socket, req, {
      code: 'method-not-allowed',
      detail: 'This is not a proxy.',
      headers: { Allow: 'GET, HEAD' },
    });
  }

  #refuse(socket: Duplex, req: IncomingMessage | undefined, problem: Problem): void {
    const { requestId } = this.deps.ids.next(req?.headers ?? {});
    this.deps.traffic.countBare(req?.method, 'unmatched', problemStatus(problem));
    socket.end(rawProblem(problem, requestId), () => socket.destroy());
  }
}

const NO_UPGRADE: Problem = { code: 'request-malformed', detail: `Only ${STREAM_PATH} takes an upgrade.` };

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

/** The first bytes that the stream edge writes tell what became of the upgrade; no word from it is needed. */
function countAnswer(socket: Duplex, count: (status: number) => void): void {
  const write = socket.write.bind(socket) as (...args: unknown[]) => boolean;
  let counted = false;
  const once = (status: number): void => {
    if (counted) return;
    counted = true;
    Reflect.deleteProperty(socket, 'write');
    count(status);
  };
  const watched = (...args: unknown[]): boolean => {
    const match = STATUS_LINE.exec(String(args[0]).slice(0, 16));
    if (match !== null) once(Number(match[1]));
    return write(...args);
  };
  socket.write = watched as Duplex['write'];
  socket.once('close', () => once(CLIENT_CLOSED));
}
