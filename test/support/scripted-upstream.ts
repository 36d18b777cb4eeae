/** A broker's data side that does what a test says: answers by function, a ledger of requests, streams fed by hand. */
import { encode } from '@msgpack/msgpack';
import { parseAccountId } from '../../src/kernel/domain/identifiers.js';
import type {
  ChannelSymbols,
  DataStream,
  StreamEnd,
  StreamEvents,
  UpstreamAccount,
  UpstreamChannel,
  UpstreamHost,
  WireReply,
} from '../../src/workers/market-data/upstream.js';

export interface ScriptedRequest {
  readonly host: UpstreamHost;
  readonly url: URL;
}

export type Script = (request: ScriptedRequest) => WireReply | Promise<WireReply>;

export class ScriptedUpstream implements UpstreamAccount {
  readonly accountId;
  readonly ledger: ScriptedRequest[] = [];
  readonly streams: ScriptedStream[] = [];
  /** What a new connection does by itself. */
  onOpen: (stream: ScriptedStream) => void = (stream) => {
    stream.accept();
  };

  constructor(
    name: string,
    public script: Script,
  ) {
    this.accountId = parseAccountId(name);
  }

  readonly wire = {
    get: async (host: UpstreamHost, path: string): Promise<WireReply> => {
      const request = { host, url: new URL(path, 'http://broker') };
      this.ledger.push(request);
      return this.script(request);
    },
  };

  openStream(path: string, events: StreamEvents): DataStream {
    const stream = new ScriptedStream(path, events);
    this.streams.push(stream);
    queueMicrotask(() => {
      this.onOpen(stream);
    });
    return stream;
  }

  /** The newest connection to this path that is still open. */
  open(path: string): ScriptedStream | undefined {
    return this.streams.filter((stream) => stream.path === path && stream.isOpen).at(-1);
  }
}

export class ScriptedStream implements DataStream {
  isOpen = true;
  readonly subscribed: Record<UpstreamChannel, Set<string>> = { quotes: new Set(), trades: new Set(), bars: new Set() };
  /** Answers a subscription; by default it is confirmed. */
  onSubscribe: (symbols: ChannelSymbols) => void = (symbols) => {
    this.confirm(symbols);
  };

  constructor(
    readonly path: string,
    private readonly events: StreamEvents,
  ) {}

  subscribe(symbols: ChannelSymbols): void {
    queueMicrotask(() => {
      if (this.isOpen) this.onSubscribe(symbols);
    });
  }

  unsubscribe(symbols: ChannelSymbols): void {
    for (const [channel, list] of Object.entries(symbols)) {
      for (const symbol of list) this.subscribed[channel as UpstreamChannel].delete(symbol);
    }
    queueMicrotask(() => {
      if (this.isOpen) this.confirm({});
    });
  }

  close(): void {
    this.isOpen = false;
  }

  accept(): void {
    this.events.onReady();
  }

  confirm(symbols: ChannelSymbols): void {
    for (const [channel, list] of Object.entries(symbols)) {
      for (const symbol of list) this.subscribed[channel as UpstreamChannel].add(symbol);
    }
    const state = Object.fromEntries(Object.entries(this.subscribed).map(([channel, set]) => [channel, [...set]]));
    this.send([{ T: 'subscription', ...state }]);
  }

  send(records: readonly Record<string, unknown>[]): void {
    if (this.isOpen) this.events.onFrame(encode(records));
  }

  fail(code: number): void {
    this.send([{ T: 'error', code, msg: 'scripted' }]);
  }

  end(end: StreamEnd): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.events.onEnd(end);
  }
}

export function answered(body: unknown, status = 200, headers: Record<string, string> = {}): WireReply {
  // A body with memory of its own, as one from the wire has.
  const text = new TextEncoder().encode(typeof body === 'string' ? body : JSON.stringify(body));
  return { kind: 'answered', status, headers: { 'content-type': 'application/json', ...headers }, body: text };
}

/** A latest quote by Alpaca's names. */
export function aQuote(fields: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    ap: 172.7,
    as: 100,
    ax: 'Q',
    bp: 172.62,
    bs: 200,
    bx: 'Q',
    c: ['R'],
    t: '2026-01-05T15:00:00.286587431Z',
    z: 'C',
    ...fields,
  };
}

/** Answers every latest question for every symbol but those that start with UNKNOWN. */
export const everythingQuoted: Script = ({ url }) => {
  const symbols = (url.searchParams.get('symbols') ?? '').split(',').filter((symbol) => !symbol.startsWith('UNKNOWN'));
  return answered({ quotes: Object.fromEntries(symbols.map((symbol) => [symbol, aQuote()])) });
};
