/**
 * What the hub and its followers in other instances say to each other, and the way it goes: best effort and in order.
 * What is lost is noticed by its number. A message is a header in JSON, a line feed, and records as between workers.
 */
import { FEED_CHANNELS, type FeedChannel, type FeedRecord } from './market-data-feed.js';
import { decodeRecords, encodeRecords } from './fan-out.js';
import type { LiveSymbols, WantedSymbols } from './hub-protocol.js';
import type { BudgetsLeft } from './sources.js';
import type { AdaptiveEntry } from './subscription-book.js';
import { normalizeSymbol } from './symbols.js';

export type BusSide = 'hub' | 'followers';

export interface QuoteBus {
  /** False when it cannot leave now. */
  send(to: BusSide, message: Uint8Array): boolean;
  /** One listener a side. Returns how to end it. */
  listen(at: BusSide, hear: (message: Uint8Array) => void): () => void;
  isUp(): boolean;
  close(): void;
}

/** From a follower, every second and at every change: the whole of what its instance wants. */
export interface FollowerWord {
  readonly from: string;
  /** New whenever the follower may have missed something: it needs every value again. */
  readonly session: string;
  readonly serial: number;
  readonly wanted: WantedSymbols;
  /** Stock symbols that are read there, whoever subscribed them. */
  readonly read: readonly string[];
  /** Reads per stock symbol since the last word. */
  readonly reads: Readonly<Record<string, number>>;
}

export interface HubStamp {
  /** The hub's instance. */
  readonly from: string;
  readonly hubId: string;
  /** One more with every message of this hub. */
  readonly seq: number;
}

export type HubWord = HubStamp &
  (
    | { readonly op: 'records' }
    /** Values as they are, not new ones: for who has not had them. */
    | { readonly op: 'snapshot' }
    | {
        readonly op: 'state';
        readonly feeds: { readonly stock: string; readonly option: string };
        readonly live: LiveSymbols;
        readonly gap: LiveSymbols;
        readonly adaptive: readonly AdaptiveEntry[];
        readonly budgets: BudgetsLeft;
      }
    /** The answer to one FollowerWord. Whatever its session needed was sent before. */
    | {
        readonly op: 'wanted';
        readonly to: string;
        readonly session: string;
        readonly serial: number;
        readonly refused: WantedSymbols;
      }
  );

/** As record-text.ts opens a record. */
const TYPE_OF: Readonly<Record<FeedChannel, string>> = {
  quotes: 'quote',
  trades: 'trade',
  bars: 'bar',
  option_quotes: 'option_quote',
  option_trades: 'option_trade',
};
/** More symbols from one instance than any plan allows are not read on. */
const SYMBOLS_MAX = 50_000;

export function encodeWord(header: FollowerWord | HubWord, records: readonly FeedRecord[] = []): Uint8Array {
  const head = Buffer.from(`${JSON.stringify(header)}\n`);
  return records.length === 0 ? head : Buffer.concat([head, encodeRecords(records)]);
}

/** Undefined for what is not ours: whoever can write to Redis is not trusted to be sane. */
export function decodeHubWord(
  message: Uint8Array,
): { readonly word: HubWord; readonly records: readonly FeedRecord[] } | undefined {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const word = headerOf(bytes) as Partial<Record<string, unknown>> | undefined;
  if (typeof word?.['from'] !== 'string' || typeof word['hubId'] !== 'string' || !Number.isSafeInteger(word['seq'])) {
    return undefined;
  }
  const lineEnd = bytes.indexOf(10);
  const records = decodeRecords(bytes.subarray(lineEnd + 1)).filter(isSane);
  return { word: word as unknown as HubWord, records };
}

export function decodeFollowerWord(message: Uint8Array): FollowerWord | undefined {
  const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
  const word = headerOf(bytes) as Partial<FollowerWord> | undefined;
  if (word === undefined) return undefined;
  const { from, session, serial, wanted, read, reads } = word;
  if (typeof from !== 'string' || typeof session !== 'string' || typeof serial !== 'number') return undefined;
  return {
    ...{ from, session, serial },
    wanted: saneSymbols(wanted),
    read: symbolsOf('stock', read),
    reads: saneCounts(reads),
  };
}

/** Each channel's well-formed symbols of a value from outside. */
export function saneSymbols(value: unknown): WantedSymbols {
  const lists = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  return Object.fromEntries(
    FEED_CHANNELS.map((channel) => [
      channel,
      symbolsOf(channel.startsWith('option') ? 'option' : 'stock', lists[channel]),
    ]),
  );
}

function headerOf(bytes: Buffer): object | undefined {
  const lineEnd = bytes.indexOf(10);
  try {
    const header: unknown = JSON.parse(bytes.toString('utf8', 0, lineEnd < 0 ? bytes.length : lineEnd));
    return typeof header === 'object' && header !== null ? header : undefined;
  } catch {
    return undefined;
  }
}

function symbolsOf(kind: 'stock' | 'option', value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value
    .slice(0, SYMBOLS_MAX)
    .filter((symbol): symbol is string => typeof symbol === 'string' && normalizeSymbol(kind, symbol) === symbol);
}

function saneCounts(value: unknown): Readonly<Record<string, number>> {
  if (typeof value !== 'object' || value === null) return {};
  const counts = Object.entries(value).slice(0, SYMBOLS_MAX);
  return Object.fromEntries(
    counts.filter(
      ([symbol, count]) => normalizeSymbol('stock', symbol) === symbol && Number.isFinite(count) && Number(count) > 0,
    ),
  );
}

function isSane({ channel, symbol, receivedAt, json }: FeedRecord): boolean {
  const kind = channel.startsWith('option') ? 'option' : 'stock';
  return (
    Number.isFinite(receivedAt) &&
    normalizeSymbol(kind, symbol) === symbol &&
    json.startsWith(`{"type":"${TYPE_OF[channel]}","symbol":"${symbol}",`) &&
    json.endsWith('}')
  );
}
