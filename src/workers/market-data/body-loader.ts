/**
 * Loads what BodyCache keeps: bar histories paged up to their limit, option chains in parallel, and the broker's own
 * reference data byte for byte. Each load has a deadline of its own: it goes on for the cache when its first caller leaves.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../kernel/runtime/clock.js';
import { unreachable } from '../../kernel/domain/errors.js';
import type { Problem } from '../../kernel/domain/problem.js';
import type { BodyResult, Page, Task } from '../../threads/tasks.js';
import type { Batch } from './batch.js';
import type { CachePolicy, LoadedBody } from './body-cache.js';
import { loadChainPages, type ChainShapes } from './chain-pages.js';
import type { BarsQuery, MarketDataRequest } from './market-data-door.js';
import { countBars } from './page-peek.js';
import type { UpstreamClient } from './upstream-client.js';
import { readPages, refusalOf, type PagesAnswer } from './upstream-pages.js';

export type BodyRequest = Extract<
  MarketDataRequest,
  { readonly kind: 'stock-bars' | 'option-bars' | 'option-chain' | 'reference' }
>;

export interface BodyLoaderParts {
  readonly upstream: UpstreamClient;
  readonly batch: Batch;
  readonly clock: Clock;
  readonly defaultFeed: { readonly stock: string; readonly option: string };
  readonly timeoutMs: number;
}

/**
 * The broker's largest page of bars, and what it takes when nothing is said (docs/broker-wire.md#market-data-requests).
 */
const BARS_PAGE_MAX = 10_000;
const BARS_DEFAULT = 1_000;
const BARS_MAX = 100_000;
const PAGES_MAX = 100;
/** Feeds that have a history; others leave the choice to the broker. */
const HISTORY_FEEDS: ReadonlySet<string> = new Set(['sip', 'iex', 'boats', 'otc']);
const LIGHT_BYTES = 32_768;
const JSON_TYPE = 'application/json; charset=utf-8';

export class BodyLoader {
  readonly #shapes: ChainShapes = new Map();

  constructor(private readonly parts: BodyLoaderParts) {}

  load(request: BodyRequest): Promise<LoadedBody> {
    switch (request.kind) {
      case 'stock-bars':
        return this.#loadBars(request);
      case 'option-bars':
        return this.#loadOptionBars(request);
      case 'option-chain':
        return this.#loadChain(request);
      case 'reference':
        return this.#loadReference(request);
      default:
        return unreachable(request);
    }
  }

  async #loadBars(request: Extract<BodyRequest, { kind: 'stock-bars' }>): Promise<LoadedBody> {
    const { symbol } = request;
    const feed = request.query.feed ?? historyFeed(this.parts.defaultFeed.stock);
    const startedAt = this.parts.clock.monotonicMs();
    const pages = await this.#barPages('/v2/stocks/bars', [symbol], request.query, feed);
    if (pages.kind === 'problem') return pages;
    return this.#finish(startedAt, {
      kind: 'bars',
      symbol,
      timeframe: request.query.timeframe,
      pages: pages.pages,
      origin: { source: pages.source, feed: feed ?? this.parts.defaultFeed.stock },
    });
  }

  async #loadOptionBars(request: Extract<BodyRequest, { kind: 'option-bars' }>): Promise<LoadedBody> {
    const startedAt = this.parts.clock.monotonicMs();
    const pages = await this.#barPages('/v1beta1/options/bars', request.symbols, request.query, undefined);
    if (pages.kind === 'problem') return pages;
    return this.#finish(startedAt, {
      kind: 'option-bars',
      symbols: request.symbols,
      timeframe: request.query.timeframe,
      pages: pages.pages,
      origin: { source: pages.source, feed: this.parts.defaultFeed.option },
    });
  }

  #barPages(
    path: string,
    symbols: readonly string[],
    asked: BarsQuery,
    feed: string | undefined,
  ): Promise<PagesAnswer> {
    const query = new URLSearchParams({ symbols: symbols.join(','), timeframe: asked.timeframe });
    const optional = { start: asked.start, end: asked.end, adjustment: asked.adjustment, sort: asked.sort, feed };
    for (const [name, value] of Object.entries(optional)) {
      if (value !== undefined) query.set(name, value);
    }
    const wanted = Math.min(BARS_MAX, asked.limit ?? BARS_DEFAULT);
    const end = this.parts.clock.monotonicMs() + this.parts.timeoutMs * 3;
    return readPages(this.parts.upstream, {
      path,
      query,
      ...(asked.pageToken !== undefined && { firstToken: asked.pageToken }),
      asksOwnFeed: asked.feed !== undefined && asked.feed !== this.parts.defaultFeed.stock,
      deadlineMs: () => Math.min(this.parts.timeoutMs, end - this.parts.clock.monotonicMs()),
      limit: (pages) => Math.min(BARS_PAGE_MAX, wanted - pages.reduce((sum, page) => sum + countBars(page), 0)),
      pagesMax: PAGES_MAX,
    });
  }

  async #loadChain(request: Extract<BodyRequest, { kind: 'option-chain' }>): Promise<LoadedBody> {
    const startedAt = this.parts.clock.monotonicMs();
    const pages = await loadChainPages(request, this.#shapes, {
      ...this.parts,
      feed: this.parts.defaultFeed.option,
    });
    if (pages.kind === 'problem') return pages;
    const upstreamMs = this.parts.clock.monotonicMs() - startedAt;
    const result = await this.#run({
      kind: 'chain',
      underlying: request.underlying,
      pages: pages.pages,
      grouped: request.query.grouped,
      origin: { source: pages.source, feed: this.parts.defaultFeed.option },
    });
    if (result.expirations !== undefined) rememberShape(this.#shapes, request, result.expirations);
    return loaded(result, upstreamMs);
  }

  async #finish(startedAt: number, task: Task & { readonly kind: 'bars' | 'option-bars' }): Promise<LoadedBody> {
    const upstreamMs = this.parts.clock.monotonicMs() - startedAt;
    return loaded(await this.#run(task), upstreamMs);
  }

  #run(task: Extract<Task, { readonly pages: readonly Page[] }>): Promise<BodyResult> {
    const bytes = task.pages.flat().reduce((sum, piece) => sum + piece.byteLength, 0);
    return this.parts.batch.run(task, { light: bytes <= LIGHT_BYTES });
  }

  async #loadReference(request: Extract<BodyRequest, { kind: 'reference' }>): Promise<LoadedBody> {
    const query = request.query === '' ? '' : `?${request.query}`;
    const answer = await this.parts.upstream.get({
      host: 'trading',
      path: referencePath(request.resource, request.symbol) + query,
      deadlineMs: this.parts.timeoutMs * 2,
    });
    const refusal = refusalOf(answer);
    if (refusal !== undefined) return { kind: 'problem', problem: refusal };
    if (answer.kind === 'problem') return answer;
    if (!looksLikeJson(answer.body)) return { kind: 'problem', problem: UNREADABLE };
    return {
      kind: 'ok',
      value: {
        contentType: answer.headers['content-type'] ?? JSON_TYPE,
        body: answer.body,
        etag: `W/"${createHash('sha256').update(answer.body).digest('base64url')}"`,
        upstreamMs: answer.upstreamMs,
      },
    };
  }
}

const UNREADABLE: Problem = { code: 'broker-unreadable', detail: 'the broker answered 200 and not in JSON' };
/** Parsing more than this would hold up the event loop for the sake of one check: both ends of it must do. */
const PARSED_BYTES_MAX = 65_536;

/** A page of a proxy may come with status 200; kept, it would be an asset for a day. */
function looksLikeJson(body: Uint8Array): boolean {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (body.byteLength > PARSED_BYTES_MAX) {
    const [head, tail] = [
      text.toString('latin1', 0, 64).trimStart(),
      text.toString('latin1', text.length - 64).trimEnd(),
    ];
    return (head.startsWith('{') && tail.endsWith('}')) || (head.startsWith('[') && tail.endsWith(']'));
  }
  try {
    const value: unknown = JSON.parse(text.toString('utf8'));
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}

/** How long each kind of answer may be given again. */
export function cachePolicy(request: BodyRequest, nowIso: string): CachePolicy {
  switch (request.kind) {
    case 'stock-bars':
    case 'option-bars':
      // A range that ended a day ago does not change any more, corrections aside.
      if (request.query.end !== undefined && request.query.end.slice(0, 10) < nowIso.slice(0, 10)) {
        return { freshMs: 600_000, staleMs: 3_600_000, staleIfErrorMs: 3_600_000 };
      }
      return { freshMs: 1_000, staleMs: 1_000, staleIfErrorMs: 60_000 };
    case 'option-chain':
      return { freshMs: 3_000, staleMs: 10_000, staleIfErrorMs: 300_000 };
    case 'reference':
      return REFERENCE_POLICIES[request.resource];
    default:
      return unreachable(request);
  }
}

const REFERENCE_POLICIES: Readonly<Record<Extract<BodyRequest, { kind: 'reference' }>['resource'], CachePolicy>> = {
  // The clock speaks of now: a second at most, and never while a new one is fetched.
  clock: { freshMs: 1_000, staleMs: 1_000, staleIfErrorMs: 5_000 },
  calendar: { freshMs: 3_600_000, staleMs: 86_400_000, staleIfErrorMs: 86_400_000 },
  assets: { freshMs: 600_000, staleMs: 3_600_000, staleIfErrorMs: 86_400_000 },
  asset: { freshMs: 60_000, staleMs: 600_000, staleIfErrorMs: 86_400_000 },
  'option-contracts': { freshMs: 60_000, staleMs: 600_000, staleIfErrorMs: 86_400_000 },
};

function referencePath(resource: Extract<BodyRequest, { kind: 'reference' }>['resource'], symbol?: string): string {
  switch (resource) {
    case 'assets':
      return '/v2/assets';
    case 'asset':
      return `/v2/assets/${encodeURIComponent(symbol ?? '')}`;
    case 'clock':
      return '/v2/clock';
    case 'calendar':
      return '/v2/calendar';
    case 'option-contracts':
      return symbol === undefined ? '/v2/options/contracts' : `/v2/options/contracts/${encodeURIComponent(symbol)}`;
    default:
      return unreachable(resource);
  }
}

/** Shapes of this many chains are remembered. */
const SHAPES_MAX = 500;

function rememberShape(
  shapes: ChainShapes,
  { underlying, query }: Extract<BodyRequest, { kind: 'option-chain' }>,
  counts: Readonly<Record<string, number>>,
): void {
  // What a filter let through says nothing about how large a date is.
  if (query.type !== undefined || query.strikePriceGte !== undefined || query.strikePriceLte !== undefined) return;
  shapes.set(underlying, { ...shapes.get(underlying), ...counts });
  const [oldest] = shapes.keys();
  if (shapes.size > SHAPES_MAX && oldest !== undefined) shapes.delete(oldest);
}

function loaded(result: BodyResult, upstreamMs: number): LoadedBody {
  return {
    kind: 'ok',
    value: {
      contentType: JSON_TYPE,
      body: result.body,
      ...(result.gzip !== undefined && { gzip: result.gzip }),
      etag: result.etag,
      upstreamMs,
    },
  };
}

function historyFeed(feed: string): string | undefined {
  return HISTORY_FEEDS.has(feed) ? feed : undefined;
}
