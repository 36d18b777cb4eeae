/** The hub's answers to reads: latest values into the shared table, finished bodies from the cache. */
import type { Problem } from '../../kernel/domain/problem.js';
import type { MeshMessage } from '../../kernel/ipc/mesh.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { unreachable } from '../../kernel/domain/errors.js';
import type { BodyCache, CacheAnswer } from './body-cache.js';
import type { BodyFiles } from './body-files.js';
import { cachePolicy, type BodyLoader, type BodyRequest } from './body-loader.js';
import type { HubReply, HubRequest } from './hub-protocol.js';
import type { LatestFetcher, SymbolOutcome } from './latest-fetcher.js';

/** Longer bodies would hold up the short messages behind them on the mesh. */
const INLINE_BODY_MAX = 262_144;

export interface HubReadsParts {
  readonly latest: LatestFetcher;
  readonly loader: BodyLoader;
  readonly cache: BodyCache;
  readonly files: BodyFiles;
  readonly clock: Clock;
  readonly meter: Meter;
}

export class HubReads {
  constructor(private readonly parts: HubReadsParts) {}

  /** Never rejects for an expected reason. */
  async answer(request: HubRequest, isLocal: boolean): Promise<MeshMessage & { readonly header: HubReply }> {
    switch (request.op) {
      case 'latest': {
        const outcomes = await this.parts.latest.fetch(
          request.recordKind,
          request.feed,
          request.symbols,
          request.maxAgeMs,
        );
        return { header: summary(outcomes) };
      }
      case 'body':
        return this.#body(request.request, request.gzip, isLocal);
      default:
        return unreachable(request);
    }
  }

  async #body(
    request: BodyRequest,
    gzip: boolean,
    isLocal: boolean,
  ): Promise<MeshMessage & { readonly header: HubReply }> {
    const policy = cachePolicy(request, new Date(this.parts.clock.now()).toISOString());
    const found = await this.parts.cache.get(cacheKey(request), policy, () => this.parts.loader.load(request));
    this.parts.meter.count('opitios_market_data_cache_total', {
      kind: request.kind,
      outcome: found.kind === 'ok' ? found.outcome : 'failed',
    });
    if (found.kind === 'problem') return { header: { op: 'problem', problem: found.problem } };
    const compressed = gzip ? found.value.gzip : undefined;
    const body = compressed ?? found.value.body;
    const header: HubReply = {
      op: 'body',
      headers: headersOf(found, policy.freshMs, compressed !== undefined),
      upstreamMs: found.outcome === 'miss' ? found.value.upstreamMs : 0,
    };
    if (isLocal || body.byteLength <= INLINE_BODY_MAX) return { header, body };
    const suffix = compressed === undefined ? '' : '.gz';
    return { header: { ...header, file: await this.parts.files.write(found.value.etag, suffix, body) } };
  }
}

function headersOf(found: CacheAnswer & { kind: 'ok' }, freshMs: number, gzipped: boolean): Record<string, string> {
  const maxAgeS = Math.max(0, Math.floor((freshMs - found.ageMs) / 1_000));
  return {
    'content-type': found.value.contentType,
    'cache-control': `private, max-age=${String(maxAgeS)}`,
    age: String(Math.floor(found.ageMs / 1_000)),
    etag: found.value.etag,
    vary: 'accept-encoding',
    ...(gzipped && { 'content-encoding': 'gzip' }),
  };
}

function summary(outcomes: ReadonlyMap<string, SymbolOutcome>): HubReply {
  const unknown: string[] = [];
  const malformed: string[] = [];
  const failed: string[] = [];
  let problem: Problem | undefined;
  for (const [symbol, outcome] of outcomes) {
    if (outcome === 'ok') continue;
    if (outcome === 'unknown') unknown.push(symbol);
    else if (outcome === 'malformed') malformed.push(symbol);
    else {
      failed.push(symbol);
      problem ??= outcome;
    }
  }
  return { op: 'latest', unknown, malformed, failed, ...(problem !== undefined && { problem }) };
}

/** Members in a fixed order, so that the same question has one key however it was spelled. */
function cacheKey(request: BodyRequest): string {
  if (request.kind === 'reference') {
    const query = new URLSearchParams(request.query);
    query.sort();
    return `reference ${request.resource} ${request.symbol ?? ''} ${query.toString()}`;
  }
  // Whether the client takes gzip changes the coding, not the answer.
  const query = Object.entries(request.query).filter(([name, value]) => name !== 'gzip' && value !== undefined);
  query.sort(([a], [b]) => (a < b ? -1 : 1));
  const subject =
    request.kind === 'stock-bars'
      ? request.symbol
      : request.kind === 'option-chain'
        ? request.underlying
        : request.symbols.join(',');
  return `${request.kind} ${subject} ${JSON.stringify(query)}`;
}
