/**
 * A caller's request on its way to the instance that holds the account: the same method, path, token and bytes over a
 * kept connection, marked so that it is forwarded once at most. It says what is known of an attempt and decides nothing.
 */
import { Pool } from 'undici';
import type { InstanceAddress } from '../../kernel/ipc/instances.js';
import type { Clock } from '../../kernel/runtime/clock.js';

/** Names the instance that forwarded. Whoever gets it answers or refuses, and never forwards again. */
export const FORWARDED_HEADER = 'x-opitios-forwarded-by';
/** Milliseconds that the caller will still wait. */
export const BUDGET_HEADER = 'x-opitios-budget-ms';
/** Present where an earlier holder, which is gone, may have acted on the request. */
export const SENT_BEFORE_HEADER = 'x-opitios-sent-before';

export interface ForwardedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

export type ForwardReply =
  | {
      readonly kind: 'answered';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: Uint8Array;
    }
  /** No byte of it reached the other instance. */
  | { readonly kind: 'not-sent'; readonly detail: string }
  | { readonly kind: 'ambiguous'; readonly detail: string };

const CONNECTIONS = 64;
const CONNECT_TIMEOUT_MS = 1_000;
/** Shorter than the other side's, so that a connection is not used in the moment it is closed. */
const KEEP_ALIVE_MS = 20_000;
const POOLS_MAX = 64;
/** The other instance answers its own deadline; this much longer its answer is waited for. */
const GRACE_MS = 500;
const NOT_SENT: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

export class InstanceForwarder {
  readonly #pools = new Map<string, Pool>();

  constructor(
    private readonly self: () => string,
    private readonly clock: Clock,
  ) {}

  /** One attempt. Never rejects. An aborted one is ambiguous once its first byte may have left. */
  async send(
    request: ForwardedRequest,
    to: InstanceAddress,
    limits: { readonly budgetMs: number; readonly mayHaveActed: boolean; readonly signal: AbortSignal },
  ): Promise<ForwardReply> {
    const over = new AbortController();
    const cancel = this.clock.after(limits.budgetMs + GRACE_MS, () => over.abort());
    try {
      const { statusCode, headers, body } = await this.#pool(to.url).request({
        method: request.method,
        path: request.path,
        headers: {
          ...request.headers,
          [FORWARDED_HEADER]: this.self(),
          [BUDGET_HEADER]: String(Math.max(1, Math.floor(limits.budgetMs))),
          ...(limits.mayHaveActed && { [SENT_BEFORE_HEADER]: 'perhaps' }),
        },
        body: request.body ?? null,
        signal: AbortSignal.any([over.signal, limits.signal]),
        headersTimeout: 0,
        bodyTimeout: 0,
      });
      const bytes = new Uint8Array(await body.arrayBuffer());
      return { kind: 'answered', status: statusCode, headers: flat(headers), body: bytes };
    } catch (cause) {
      const { code, message } = cause as { readonly code?: string; readonly message?: string };
      const isUnsent = code !== undefined && NOT_SENT.has(code);
      return { kind: isUnsent ? 'not-sent' : 'ambiguous', detail: `${code ?? ''} ${message ?? ''}`.trim() };
    } finally {
      cancel();
    }
  }

  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #pool(url: string): Pool {
    const known = this.#pools.get(url);
    if (known !== undefined) return known;
    const [oldest] = this.#pools;
    if (this.#pools.size >= POOLS_MAX && oldest !== undefined) {
      this.#pools.delete(oldest[0]);
      void oldest[1].close();
    }
    const pool = new Pool(url, {
      connections: CONNECTIONS,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      connect: { timeout: CONNECT_TIMEOUT_MS },
    });
    this.#pools.set(url, pool);
    return pool;
  }
}

function flat(headers: Readonly<Record<string, string | string[] | undefined>>): Readonly<Record<string, string>> {
  const one: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers)) {
    if (value !== undefined) one[name.toLowerCase()] = typeof value === 'string' ? value : value.join(', ');
  }
  return one;
}
