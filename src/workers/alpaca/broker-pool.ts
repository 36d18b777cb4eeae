/**
 * The sockets to one origin of the broker, shared by all accounts of a worker (keys travel in headers, not with the
 * connection). Every exchange says what is known about it: whether a byte may have left is recorded where it happens,
 * never guessed from an error code (docs/order-protocol.md R5). Nothing is retried and no redirect is followed.
 */
import { Pool, type Dispatcher } from 'undici';
import type { Clock } from '../../kernel/runtime/clock.js';

export interface BrokerPoolOptions {
  /** Such as `https://paper-api.alpaca.markets`. */
  readonly origin: string;
  /** Sockets at most; `warm` opens them all. */
  readonly connections: number;
  readonly connectTimeoutMs: number;
  /** How long an idle socket is kept; below the broker's own limit where that is known. */
  readonly keepAliveMs: number;
  /** Told of every socket that is opened: the fewer of them to a call, the better. */
  readonly onOpened?: () => void;
}

export type Precedence = 0 | 1 | 2 | 3;

export interface Exchange {
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Path and query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** For everything: waiting for a socket, sending, and reading the whole answer. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** A long answer's body is for a thread: what arrived is given on as it came, and is never put together here. */
  readonly inPieces?: boolean;
  /** Who goes first where sockets are short; 0 before all others, and without one after them. */
  readonly precedence?: Precedence;
  /** Asked with a socket at hand, in the same turn in which the bytes would leave. */
  readonly mayStillSend?: () => boolean;
}

export type ExchangeResult =
  | {
      readonly kind: 'answered';
      readonly status: number;
      /** Lower-case names. */
      readonly headers: Readonly<Record<string, string>>;
      /** Empty where `pieces` hold it. */
      readonly body: Uint8Array;
      /** Of a 200 that was asked for in pieces. */
      readonly pieces?: readonly Uint8Array[];
      readonly upstreamMs: number;
    }
  | {
      readonly kind: 'not-sent';
      readonly reason: 'connect' | 'deadline' | 'forbidden' | 'closed';
      readonly detail: string;
    }
  | { readonly kind: 'ambiguous'; readonly detail: string; readonly upstreamMs: number };

/** More than the broker's largest page; an answer beyond it is no answer. */
const BODY_BYTES_MAX = 32 << 20;
const NOTHING = new Uint8Array();

/** By precedence. */
type Queues = readonly [Set<Attempt>, Set<Attempt>, Set<Attempt>, Set<Attempt>];

export class BrokerPool {
  readonly #pool: Pool;
  /** Whoever waits here can leave for free; leaving undici's own queue costs a socket. */
  readonly #waiting: Queues = [new Set(), new Set(), new Set(), new Set()];
  #busy = 0;

  constructor(
    private readonly options: BrokerPoolOptions,
    private readonly clock: Clock,
  ) {
    this.#pool = new Pool(options.origin, {
      connections: options.connections,
      pipelining: 1,
      keepAliveTimeout: options.keepAliveMs,
      keepAliveMaxTimeout: options.keepAliveMs,
      // The exchange's own deadline covers all of it.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: { timeout: options.connectTimeoutMs },
    });
    this.#pool.on('connect', () => options.onOpened?.());
  }

  /**
   * Opens every socket by as many GETs at once (a HEAD would make undici close its socket). Best effort: what is not
   * open now is opened by the first request that needs it.
   */
  async warm(probe: Pick<Exchange, 'path' | 'headers' | 'deadlineMs'>): Promise<void> {
    await Promise.all(
      Array.from({ length: this.options.connections }, () => this.exchange({ method: 'GET', ...probe })),
    );
  }

  /** Never rejects. */
  exchange(exchange: Exchange): Promise<ExchangeResult> {
    const waiting = this.#waiting[exchange.precedence ?? 3];
    return new Promise((resolve) => {
      const attempt = new Attempt(exchange, this.clock, (result) => {
        resolve(result);
        // One that still waited held no place.
        if (waiting.delete(attempt)) return;
        this.#busy -= 1;
        this.#next();
      });
      waiting.add(attempt);
      if (exchange.signal?.aborted === true) attempt.giveUp('the caller left');
      else this.#next();
    });
  }

  #next(): void {
    for (const waiting of this.#waiting) {
      for (const attempt of waiting) {
        if (this.#busy >= this.options.connections) return;
        waiting.delete(attempt);
        this.#busy += 1;
        const { method, path, headers, body } = attempt.exchange;
        this.#pool.dispatch({ method, path, headers, body: body ?? null }, attempt);
      }
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy();
  }
}

/** One attempt, from the queue to the last byte. */
class Attempt implements Dispatcher.DispatchHandler {
  readonly #cancelDeadline: () => void;
  readonly #leave: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #startedAt: number | undefined;
  #status = 0;
  #headers: Readonly<Record<string, string>> = {};
  readonly #chunks: Buffer[] = [];
  #bytes = 0;
  #isSettled = false;
  #whyAborted: string | undefined;

  constructor(
    readonly exchange: Exchange,
    private readonly clock: Clock,
    private readonly resolve: (result: ExchangeResult) => void,
  ) {
    this.#cancelDeadline = clock.after(exchange.deadlineMs, () => this.giveUp('deadline'));
    const leave = (): void => this.giveUp('the caller left');
    exchange.signal?.addEventListener('abort', leave, { once: true });
    this.#leave = () => exchange.signal?.removeEventListener('abort', leave);
  }

  giveUp(why: string): void {
    this.#whyAborted = why;
    if (this.#startedAt === undefined) this.#settle({ kind: 'not-sent', reason: 'deadline', detail: why });
    else this.#controller?.abort(new TypeError(why));
  }

  /** Called by undici when a socket is at hand; the bytes are written right after this returns, in the same turn. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#isSettled) {
      controller.abort(new TypeError('given up before it was sent'));
      return;
    }
    if (this.exchange.mayStillSend?.() === false) {
      this.#settle({ kind: 'not-sent', reason: 'forbidden', detail: 'no longer allowed when a socket was at hand' });
      controller.abort(new TypeError('forbidden'));
      return;
    }
    this.#controller = controller;
    this.#startedAt = this.clock.monotonicMs();
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Readonly<Record<string, string | string[] | undefined>>,
  ): void {
    // 1xx are told here too; the last one counts.
    this.#status = status;
    const flat: Record<string, string> = {};
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) flat[name.toLowerCase()] = typeof value === 'string' ? value : value.join(', ');
    }
    this.#headers = flat;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > BODY_BYTES_MAX) this.giveUp('the answer is too large');
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const isInPieces = this.exchange.inPieces === true && this.#status === 200;
    const [only] = this.#chunks;
    const whole = only !== undefined && this.#chunks.length === 1 ? only : undefined;
    this.#settle({
      kind: 'answered',
      status: this.#status,
      headers: this.#headers,
      body: isInPieces ? NOTHING : (whole ?? Buffer.concat(this.#chunks)),
      ...(isInPieces && { pieces: this.#chunks }),
      upstreamMs: this.#spentMs(),
    });
  }

  onResponseError(_controller: Dispatcher.DispatchController, cause: Error): void {
    const detail = this.#whyAborted ?? `${(cause as NodeJS.ErrnoException).code ?? cause.name}: ${cause.message}`;
    if (this.#startedAt === undefined) this.#settle({ kind: 'not-sent', reason: 'connect', detail });
    else this.#settle({ kind: 'ambiguous', detail, upstreamMs: this.#spentMs() });
  }

  #spentMs(): number {
    return this.#startedAt === undefined ? 0 : this.clock.monotonicMs() - this.#startedAt;
  }

  #settle(result: ExchangeResult): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.#cancelDeadline();
    this.#leave();
    this.resolve(result);
  }
}
