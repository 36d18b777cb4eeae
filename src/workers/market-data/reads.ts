/**
 * MarketDataDoor: the shared table first, the hub for what the table does not have, threads for what is long. An answer
 * that cannot be had fresh is given from the table with `stale` and its age rather than not at all.
 */
import type { CallContext } from '../../kernel/domain/account-request.js';
import { GatewayError, unreachable } from '../../kernel/domain/errors.js';
import type { Problem } from '../../kernel/domain/problem.js';
import { recordKey, type QuoteTable } from '../../kernel/shared-memory/quote-table.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import { SYMBOL_STATES, type SymbolState } from '../../threads/tasks.js';
import type { Batch } from './batch.js';
import type { BodyFiles } from './body-files.js';
import type { BodyRequest } from './body-loader.js';
import type { HubAnswer, HubLink } from './hub-link.js';
import type { LatestKind } from './latest-fetcher.js';
import type { LiveSymbolsView } from './live-symbols.js';
import type { MarketDataAnswer, MarketDataDoor, MarketDataRequest } from './market-data-door.js';
import { normalizeSymbol } from './symbols.js';

export interface MarketDataReadsParts {
  readonly table: QuoteTable;
  readonly place: { readonly directory: string; readonly sizeMb: number };
  readonly link: HubLink;
  readonly live: LiveSymbolsView;
  readonly batch: Batch;
  readonly files: BodyFiles;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly feeds: { readonly stock: string; readonly option: string };
  readonly quoteMaxAgeMs: number;
  /** Reads that this instance cannot answer go to another one. */
  readonly isHubElsewhere: () => boolean;
  /** A stock symbol was read: what is read often is worth a subscription. */
  readonly noteRead: (symbol: string) => void;
}

const HEADERS = { 'content-type': 'application/json; charset=utf-8', 'cache-control': 'no-store' } as const;
/** Up to here a batch is put together where it is: a trip to a thread costs more. */
const LIGHT_SYMBOLS = 50;
const SYMBOLS_MAX = 5_000;

export class MarketDataReads implements MarketDataDoor {
  constructor(private readonly parts: MarketDataReadsParts) {}

  quoteNow(symbol: string): MarketDataAnswer | undefined {
    const answer = this.#fromTable('quote', this.parts.feeds.stock, symbol, 'fresh');
    // A read that another instance answers makes this one want the symbol, so that it need not go there again.
    if (answer !== undefined || (this.parts.isHubElsewhere() && normalizeSymbol('stock', symbol) === symbol)) {
      this.parts.noteRead(symbol);
    }
    return answer;
  }

  async execute(request: MarketDataRequest, context: CallContext, signal?: AbortSignal): Promise<MarketDataAnswer> {
    try {
      return await this.#execute(request, context, signal);
    } catch (cause) {
      if (cause instanceof GatewayError && cause.code === 'QUEUE_FULL') {
        return refuse({ code: 'overloaded', detail: 'too much batch work is waiting', retryAfterS: 1 });
      }
      if (cause instanceof GatewayError && cause.code === 'CALL_CANCELED') {
        return refuse({ code: 'broker-timeout', detail: 'the request was canceled' });
      }
      throw cause;
    }
  }

  #execute(request: MarketDataRequest, context: CallContext, signal?: AbortSignal): Promise<MarketDataAnswer> {
    const { stock, option } = this.parts.feeds;
    switch (request.kind) {
      case 'stock-quote':
        return this.#single('quote', request.feed ?? stock, request.symbol, { context, signal });
      case 'latest-trade':
        return this.#single('trade', request.feed ?? stock, request.symbol, { context, signal });
      case 'option-quote':
        return this.#single('option_quote', option, request.symbol, { context, signal });
      case 'stock-quotes':
        return this.#many('quote', request.feed ?? stock, request.symbols, { context, signal });
      case 'stock-snapshots':
        return this.#many('snapshot', request.feed ?? stock, request.symbols, { context, signal });
      case 'option-quotes':
        return this.#many('option_quote', option, request.symbols, { context, signal });
      case 'stock-bars':
      case 'option-bars':
      case 'option-chain':
      case 'reference':
        return this.#body(request, { context, signal });
      default:
        return unreachable(request);
    }
  }

  async #single(kind: LatestKind, feed: string, text: string, call: Call): Promise<MarketDataAnswer> {
    const symbol = normalizeSymbol(symbolKind(kind), text);
    if (symbol === undefined) return refuse(malformed(text));
    if (kind === 'quote') this.parts.noteRead(symbol);
    const known = this.#fromTable(kind, feed, symbol, 'fresh');
    if (known !== undefined) return known;

    const answer = await this.#fetch(kind, feed, [symbol], call);
    if (answer.reply.op === 'latest') {
      if (answer.reply.unknown.length > 0) {
        return refuse({ code: 'symbol-not-found', detail: `the broker has nothing for ${symbol}` });
      }
      if (answer.reply.malformed.length > 0) return refuse(malformed(text));
    }
    const problem = answer.reply.op === 'body' ? undefined : answer.reply.problem;
    const found = this.#fromTable(kind, feed, symbol, problem === undefined ? 'fetched' : 'stale');
    if (found?.kind === 'answer') {
      return { ...found, ...(answer.meshMs !== undefined && { meshMs: answer.meshMs }) };
    }
    return refuse(problem ?? { code: 'market-data-unavailable', detail: 'no value could be fetched' });
  }

  /** One pass over the table; what is missing is fetched in one go; a second pass answers. */
  async #many(kind: LatestKind, feed: string, texts: readonly string[], call: Call): Promise<MarketDataAnswer> {
    if (texts.length > SYMBOLS_MAX) {
      return refuse({ code: 'validation-failed', detail: `at most ${String(SYMBOLS_MAX)} symbols a request` });
    }
    const states: SymbolState[] = [];
    const symbols = texts.map((text) => {
      const symbol = normalizeSymbol(symbolKind(kind), text);
      states.push(symbol === undefined ? 'malformed' : this.parts.live.stateOf(kind, symbol));
      if (symbol !== undefined && kind === 'quote') this.parts.noteRead(symbol);
      return symbol ?? text;
    });
    const first = await this.#compose(kind, feed, { symbols, states, isFinal: false }, call);
    if (first.body !== undefined) return this.#composed(first.body);

    const wanted = new Set(first.missing.map((index) => symbols[index] ?? ''));
    const fetched = await this.#fetch(kind, feed, [...wanted], call);
    const second = await this.#compose(
      kind,
      feed,
      { symbols, ...settle(symbols, states, wanted, fetched), isFinal: true },
      call,
    );
    return this.#composed(second.body ?? new Uint8Array(), fetched.meshMs);
  }

  #composed(body: Uint8Array, meshMs?: number): MarketDataAnswer {
    return { ...answerWith(body, meshMs), sent: () => this.parts.batch.giveBack(body) };
  }

  #compose(
    kind: LatestKind,
    feed: string,
    batch: {
      readonly symbols: readonly string[];
      readonly states: readonly SymbolState[];
      readonly failure?: { readonly code: string; readonly detail: string };
      readonly isFinal: boolean;
    },
    call: Call,
  ): Promise<{ readonly body?: Uint8Array; readonly missing: readonly number[] }> {
    return this.parts.batch.run(
      {
        kind: 'compose',
        table: this.parts.place,
        recordKind: kind,
        feed,
        listName: kind === 'snapshot' ? 'snapshots' : 'quotes',
        symbols: batch.symbols,
        states: Uint8Array.from(batch.states, (state) => SYMBOL_STATES.indexOf(state)),
        ...(batch.failure !== undefined && { failure: batch.failure }),
        now: this.parts.clock.now(),
        maxAgeMs: this.parts.quoteMaxAgeMs,
        isFinal: batch.isFinal,
      },
      { light: batch.symbols.length <= LIGHT_SYMBOLS, ...(call.signal !== undefined && { signal: call.signal }) },
    );
  }

  async #body(request: BodyRequest, call: Call): Promise<MarketDataAnswer> {
    const checked = checkedBodyRequest(request);
    if (checked.kind === 'problem') return checked;
    const gzip = request.kind === 'option-chain' && request.query.gzip;
    // A file may have left between the answer and the read: asked again it is written again.
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const { reply, body, meshMs } = await this.parts.link.ask(
        { op: 'body', request: checked.request, gzip },
        call.context.budgetMs,
        call.signal,
      );
      if (reply.op === 'problem') return refuse(reply.problem);
      if (reply.op !== 'body') break;
      const bytes = reply.file === undefined ? body : await this.parts.files.read(reply.file);
      if (bytes === undefined) continue;
      return {
        kind: 'answer',
        status: 200,
        headers: reply.headers,
        body: bytes,
        upstreamMs: reply.upstreamMs,
        ...(meshMs !== undefined && { meshMs }),
      };
    }
    return refuse({ code: 'market-data-unavailable', detail: 'the answer was lost on its way', retryAfterS: 1 });
  }

  #fetch(kind: LatestKind, feed: string, symbols: readonly string[], call: Call): Promise<HubAnswer> {
    return this.parts.link.ask(
      { op: 'latest', recordKind: kind, feed, symbols, maxAgeMs: this.parts.quoteMaxAgeMs },
      call.context.budgetMs,
      call.signal,
    );
  }

  /** `fresh`: only if young enough or live; `fetched`: just written; `stale`: what there is, as nothing better came. */
  #fromTable(
    kind: LatestKind,
    feed: string,
    symbol: string,
    need: 'fresh' | 'fetched' | 'stale',
  ): MarketDataAnswer | undefined {
    // What was fetched a moment ago by another process must be seen.
    if (need !== 'fresh') this.parts.table.refresh();
    const record = this.parts.table.read(recordKey(kind, feed, symbol));
    if (record === undefined) return undefined;
    const ageMs = Math.max(0, Math.round(this.parts.clock.now() - record.receivedAt));
    const state = this.parts.live.stateOf(kind, symbol);
    if (need === 'fresh' && state !== 'live' && ageMs > this.parts.quoteMaxAgeMs) return undefined;
    const mark = need === 'stale' || state === 'gap' ? ',"stale":true' : '';
    return answerWith(this.parts.table.finished(record, `,"age_ms":${String(ageMs)}${mark}}`));
  }
}

interface Call {
  readonly context: CallContext;
  readonly signal: AbortSignal | undefined;
}

function symbolKind(kind: LatestKind): 'stock' | 'option' {
  return kind === 'option_quote' || kind === 'option_trade' ? 'option' : 'stock';
}

/** What is known of each symbol after the fetch. */
function settle(
  symbols: readonly string[],
  states: readonly SymbolState[],
  wanted: ReadonlySet<string>,
  { reply }: HubAnswer,
): { readonly states: readonly SymbolState[]; readonly failure?: { readonly code: string; readonly detail: string } } {
  if (reply.op !== 'latest') {
    const problem = reply.op === 'problem' ? reply.problem : undefined;
    return {
      states: states.map((state, index) => (wanted.has(symbols[index] ?? '') ? 'failed' : state)),
      ...(problem !== undefined && { failure: { code: problem.code, detail: problem.detail } }),
    };
  }
  const fate = new Map<string, SymbolState>();
  for (const symbol of reply.unknown) fate.set(symbol, 'unknown');
  for (const symbol of reply.malformed) fate.set(symbol, 'malformed');
  for (const symbol of reply.failed) fate.set(symbol, 'failed');
  const { problem } = reply;
  return {
    states: states.map((state, index) => fate.get(symbols[index] ?? '') ?? state),
    ...(problem !== undefined && { failure: { code: problem.code, detail: problem.detail } }),
  };
}

function checkedBodyRequest(
  request: BodyRequest,
): { readonly kind: 'ok'; readonly request: BodyRequest } | { readonly kind: 'problem'; readonly problem: Problem } {
  if (request.kind === 'stock-bars') {
    const symbol = normalizeSymbol('stock', request.symbol);
    return symbol === undefined ? refuse(malformed(request.symbol)) : { kind: 'ok', request: { ...request, symbol } };
  }
  if (request.kind === 'option-chain') {
    const underlying = normalizeSymbol('stock', request.underlying);
    return underlying === undefined
      ? refuse(malformed(request.underlying))
      : { kind: 'ok', request: { ...request, underlying } };
  }
  if (request.kind === 'option-bars') {
    const symbols = request.symbols.map((text) => normalizeSymbol('option', text));
    const bad = symbols.indexOf(undefined);
    if (bad >= 0) return refuse(malformed(request.symbols[bad] ?? ''));
    return { kind: 'ok', request: { ...request, symbols: symbols.filter((symbol) => symbol !== undefined) } };
  }
  return { kind: 'ok', request };
}

function malformed(text: string): Problem {
  return { code: 'validation-failed', detail: `"${text.slice(0, 40)}" cannot be a symbol` };
}

function refuse(problem: Problem): { readonly kind: 'problem'; readonly problem: Problem } {
  return { kind: 'problem', problem };
}

function answerWith(body: Uint8Array, meshMs?: number): Extract<MarketDataAnswer, { readonly kind: 'answer' }> {
  return { kind: 'answer', status: 200, headers: HEADERS, body, ...(meshMs !== undefined && { meshMs }) };
}
