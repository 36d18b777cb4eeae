/**
 * The venue's one port. Every request passes here: body, key, ledger, faults, rate limit, then the trading routes or
 * the data handler. It decides nothing about orders; it decides what the caller gets to see.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Keys } from './accounts.js';
import type { SimClock } from './clock.js';
import type { Counters } from './control/counters.js';
import type { Ledger, LedgerEntry } from './control/ledger.js';
import type { KeyOwner, RestHandler, StreamMount } from './doors.js';
import { AttemptCounter, latency, limitHeaders, withSymbol } from './faults/answer-faults.js';
import { loseAnswer, trickle } from './faults/broken-answer.js';
import type { RequestFault } from './faults/fault.js';
import type { FaultTable } from './faults/fault-table.js';
import type { MarketView } from './market/market.js';
import type { RateLimit } from './rate-limit.js';
import { NO_CONTENT, refused, type Answer } from './rest/answer.js';
import { clientOrderIdOf, header, isDataPath } from './rest/arrival.js';
import { answerTrading, routeName } from './rest/trading-routes.js';
import { INTERNAL, notFound, RATE_LIMITED, UNAUTHORIZED } from './venue/refusal.js';
import type { SeededRandom } from './venue/seeded-random.js';
import type { Venue } from './venue/venue.js';

export interface VenueServerParts {
  readonly venue: Venue;
  readonly market: MarketView;
  readonly keys: Keys;
  readonly clock: SimClock;
  readonly random: SeededRandom;
  readonly ledger: Ledger;
  readonly counters: Counters;
  readonly faults: FaultTable;
  /** Trading and data budgets are separate. */
  readonly limits: { readonly trading: RateLimit; readonly data: RateLimit };
  readonly data: RestHandler;
  readonly streams: readonly StreamMount[];
}

/** One request on its way through. */
interface Passage {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly url: URL;
  readonly body: string;
  readonly owner: KeyOwner | undefined;
  readonly entry: LedgerEntry;
  readonly faults: readonly RequestFault[];
}

const BODY_MAX_BYTES = 1_048_576;

export class VenueServer {
  readonly #parts: VenueServerParts;
  readonly #server: Server;
  readonly #sockets = new Map<Socket, number>();
  readonly #attempts = new AttemptCounter();
  #lastSocketId = 0;

  constructor(parts: VenueServerParts) {
    this.#parts = parts;
    this.#server = createServer({ keepAliveTimeout: 75_000, requestTimeout: 0, noDelay: true }, (req, res) =>
      this.#collect(req, res),
    );
    this.#server.on('connection', (socket) => this.#connected(socket));
    this.#server.on('upgrade', (req, socket, head) => {
      if (parts.streams.some((mount) => mount.upgrade(req, socket, head))) return;
      socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
    this.#server.on('clientError', (_error, socket) => socket.destroy());
  }

  async listen(port: number, host: string): Promise<number> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, 4_096, () => resolve());
    });
    return (this.#server.address() as AddressInfo).port;
  }

  /** Cuts every TCP connection to the venue, streams included. */
  cutConnections(): number {
    const count = this.#sockets.size;
    for (const socket of this.#sockets.keys()) socket.resetAndDestroy();
    return count;
  }

  async close(): Promise<void> {
    for (const mount of this.#parts.streams) await mount.close();
    for (const socket of this.#sockets.keys()) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #connected(socket: Socket): void {
    this.#lastSocketId += 1;
    this.#sockets.set(socket, this.#lastSocketId);
    this.#parts.counters.connectionOpened();
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#parts.counters.connectionClosed();
    });
  }

  #collect(req: IncomingMessage, res: ServerResponse): void {
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= BODY_MAX_BYTES) chunks.push(chunk);
    });
    req.on('end', () => this.#arrive(req, res, Buffer.concat(chunks)));
    req.on('error', () => res.destroy());
  }

  #arrive(req: IncomingMessage, res: ServerResponse, bytes: Buffer): void {
    const { counters, faults, ledger, keys, clock, random } = this.#parts;
    const url = new URL(req.url ?? '/', 'http://venue');
    const method = req.method ?? 'GET';
    const owner = keys.ownerOf(header(req, 'apca-api-key-id'), header(req, 'apca-api-secret-key'));
    const body = bytes.toString('utf8');
    const isOrder = method === 'POST' && url.pathname === '/v2/orders';
    const clientOrderId = isOrder ? clientOrderIdOf(body) : undefined;
    counters.request(routeName(method, url.pathname));
    const entry = ledger.record({
      at: clock.now(),
      method,
      path: url.pathname,
      query: url.search.slice(1),
      rawHeaders: req.rawHeaders,
      body: bytes,
      accountId: owner?.accountId,
      socketId: this.#sockets.get(req.socket) ?? 0,
      clientOrderId,
    });
    res.setHeader('X-Request-ID', random.hex(32));
    const attempt =
      clientOrderId === undefined ? 0 : this.#attempts.count(`${owner?.accountId ?? ''}/${clientOrderId}`);
    const met = faults.forRequest({ accountId: owner?.accountId, method, path: url.pathname, attempt });
    const passage = { req, res, url, body, owner, entry, faults: met };
    const waitMs = latency(met, 'before', random);
    if (waitMs > 0) clock.after(waitMs, () => this.#admit(passage));
    else this.#admit(passage);
  }

  /** Key, budget, and the faults that stand before any work. */
  #admit(passage: Passage): void {
    const { res, owner, url, entry } = passage;
    const isData = isDataPath(url.pathname);
    if (owner !== undefined || isData) {
      const { limits, counters } = this.#parts;
      const budget = (isData ? limits.data : limits.trading).take(owner?.accountId ?? 'anonymous');
      res.setHeader('X-RateLimit-Limit', budget.limit);
      res.setHeader('X-RateLimit-Remaining', budget.remaining);
      res.setHeader('X-RateLimit-Reset', budget.reset);
      if (budget.isExceeded) {
        counters.rateLimited += 1;
        entry.outcome = 'rate-limited';
        this.#send(passage, refused(RATE_LIMITED));
        return;
      }
    }
    for (const fault of passage.faults) if (this.#stopsBefore(passage, fault)) return;
    this.#work(passage);
  }

  /** True when the fault ends the request here. */
  #stopsBefore(passage: Passage, fault: RequestFault): boolean {
    const { entry, req, res } = passage;
    if (fault.kind === 'status' && fault.when !== 'after') {
      entry.outcome = `status ${fault.status} before`;
      this.#sendStatus(passage, fault);
      return true;
    }
    if (fault.kind === 'rate-limited') {
      entry.outcome = 'rate-limited by switch';
      limitHeaders(res, fault, this.#parts.clock.now());
      this.#send(passage, refused(RATE_LIMITED));
      return true;
    }
    if (fault.kind === 'answer-lost' && fault.when === 'before') {
      entry.outcome = `${fault.how} before`;
      loseAnswer(req, fault.how, 200, '{}');
      return true;
    }
    if (fault.kind === 'late-acceptance') {
      entry.outcome = `late-acceptance ${fault.how}`;
      loseAnswer(req, fault.how, 200, '{}');
      this.#parts.clock.after(fault.ms, () => {
        const answer = this.#trade(passage);
        entry.outcome = `late-acceptance ${fault.how}, then ${answer?.status ?? 404}`;
      });
      return true;
    }
    return false;
  }

  #work(passage: Passage): void {
    const { url, owner, entry } = passage;
    try {
      if (isDataPath(url.pathname)) this.#workData(passage);
      else if (owner === undefined) this.#finish(passage, refused(UNAUTHORIZED));
      else this.#finish(passage, this.#trade(passage) ?? refused(notFound('endpoint not found')));
    } catch (cause) {
      // A bug of the simulator's own must look like the broker's 500 and be found in the ledger.
      entry.outcome = `simulator failed: ${String(cause)}`;
      this.#send(passage, refused(INTERNAL));
    }
  }

  #trade({ owner, req, url, body, faults, entry }: Passage): Answer | undefined {
    const account = this.#parts.venue.book.account(owner?.accountId ?? '');
    if (account === undefined) return refused(UNAUTHORIZED);
    const lag = faults.find((fault) => fault.kind === 'lookup-lag');
    const answer = answerTrading({
      venue: this.#parts.venue,
      market: this.#parts.market,
      account,
      method: req.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      body,
      visibleAfterMs: lag?.ms ?? 0,
    });
    if (answer?.created !== undefined) entry.orderIds = [...answer.created];
    return answer;
  }

  /** The data half writes for itself; with an answer fault in play its answer is caught first. */
  #workData(passage: Passage): void {
    const { res, req, url, faults } = passage;
    if (faults.length === 0) {
      if (!this.#parts.data(req, res, url)) this.#finish(passage, refused(notFound('endpoint not found')));
      passage.entry.outcome = 'answered';
      passage.entry.status = res.statusCode;
      return;
    }
    const end = res.end.bind(res);
    const writeHead = res.writeHead.bind(res);
    const caught = { status: 200, headers: {} as Record<string, string> };
    const catching = res as unknown as Record<'writeHead' | 'end', unknown>;
    catching.writeHead = (status: number, headers?: Record<string, string>) => {
      Object.assign(caught, { status, headers: headers ?? {} });
      return res;
    };
    catching.end = (chunk?: string | Buffer) => {
      Object.assign(catching, { end, writeHead });
      for (const [name, value] of Object.entries(caught.headers)) res.setHeader(name, value);
      this.#finish(passage, { status: caught.status, body: chunk?.toString() });
      return res;
    };
    if (!this.#parts.data(req, res, url)) {
      Object.assign(catching, { end, writeHead });
      this.#finish(passage, refused(notFound('endpoint not found')));
    }
  }

  /** The work is done; what does the caller get to see, and when? */
  #finish(passage: Passage, answer: Answer): void {
    const waitMs = latency(passage.faults, 'after', this.#parts.random);
    if (waitMs > 0) this.#parts.clock.after(waitMs, () => this.#reveal(passage, answer));
    else this.#reveal(passage, answer);
  }

  #reveal(passage: Passage, answer: Answer): void {
    const { entry, req, res, faults } = passage;
    entry.outcome = 'answered';
    for (const fault of faults) {
      switch (fault.kind) {
        case 'status':
          entry.outcome = `status ${fault.status} after`;
          this.#sendStatus(passage, fault);
          return;
        case 'answer-lost':
          entry.outcome = `${fault.how} after`;
          loseAnswer(req, fault.how, answer.status, answer.body ?? '');
          return;
        case 'slow-body':
          entry.outcome = 'slow-body';
          entry.status = answer.status;
          res.statusCode = answer.status;
          trickle(res, answer.body ?? '', fault.bytesPerSecond);
          return;
        case 'wrong-symbol':
          entry.outcome = 'wrong-symbol';
          this.#send(passage, withSymbol(answer, fault.symbol));
          return;
        default:
      }
    }
    this.#send(passage, answer);
  }

  #sendStatus(passage: Passage, fault: Extract<RequestFault, { kind: 'status' }>): void {
    for (const [name, value] of Object.entries(fault.headers ?? {})) passage.res.setHeader(name, value);
    if (fault.contentType !== undefined) passage.res.setHeader('Content-Type', fault.contentType);
    const code = fault.code ?? fault.status * 100_000 + 10_000;
    const message = fault.message ?? (fault.status === 504 ? 'request timed out' : 'internal server error occurred');
    const body = fault.body ?? JSON.stringify({ ...fault.extra, code, message });
    this.#send(passage, { status: fault.status, body });
  }

  #send({ res, entry }: Passage, answer: Answer): void {
    entry.status = answer.status;
    if (entry.outcome === 'pending') entry.outcome = 'answered';
    if (res.destroyed) return;
    res.statusCode = answer.status;
    if (answer.body === undefined || answer === NO_CONTENT) {
      res.end();
      return;
    }
    if (!res.hasHeader('Content-Type')) res.setHeader('Content-Type', 'application/json; charset=UTF-8');
    res.setHeader('Content-Length', Buffer.byteLength(answer.body));
    res.end(answer.body);
  }
}
