/**
 * What one data stream is subscribed to. A request is taken whole or refused whole with the broker's error code, and a
 * refusal leaves the state as it was.
 */
import type { Update } from '../records.js';

export type ErrorCode = 400 | 401 | 402 | 403 | 404 | 405 | 406 | 407 | 409 | 410 | 412 | 413;

/** What the feed offers and permits. */
export interface FeedRules {
  readonly isOption: boolean;
  /** Trades and quotes together on stocks, quotes on options; undefined for no limit. */
  readonly symbolsMax: number | undefined;
}

const STOCK_CHANNELS = ['trades', 'quotes', 'bars', 'updatedBars', 'dailyBars', 'statuses', 'lulds', 'imbalances'];
const OPTION_CHANNELS = ['trades', 'quotes'];
const ALL_CHANNELS = new Set([...STOCK_CHANNELS, 'orderbooks', 'news']);
const STOCK_SYMBOL = /^(?:\*|[A-Z][A-Z0-9]{0,9}(?:\.[A-Z]{1,3})?)$/;
const OPTION_SYMBOL = /^(?:\*|[A-Z0-9.]{1,6}\d{6}[CP]\d{8})$/;

export class Subscriptions {
  #channels: ReadonlyMap<string, ReadonlySet<string>>;

  constructor(private readonly isOption: boolean) {
    this.#channels = new Map((isOption ? OPTION_CHANNELS : STOCK_CHANNELS).map((channel) => [channel, new Set()]));
  }

  /** Applies a subscribe or unsubscribe message. Answers the error code of a refusal. */
  change(
    action: 'subscribe' | 'unsubscribe',
    message: Readonly<Record<string, unknown>>,
    rules: FeedRules,
  ): ErrorCode | undefined {
    const next = new Map([...this.#channels].map(([channel, symbols]) => [channel, new Set(symbols)]));
    for (const [channel, symbols] of Object.entries(message)) {
      if (!ALL_CHANNELS.has(channel)) continue;
      if (!isSymbolList(symbols, this.isOption ? OPTION_SYMBOL : STOCK_SYMBOL)) return 400;
      const current = next.get(channel);
      if (current === undefined && symbols.length > 0) return 410;
      for (const symbol of symbols) {
        if (action === 'subscribe') current?.add(symbol);
        else current?.delete(symbol);
      }
    }
    const refusal = action === 'subscribe' ? refusalOf(next, rules) : undefined;
    if (refusal === undefined) this.#channels = next;
    return refusal;
  }

  /** The confirmation: always the whole state. Corrections and cancellations follow the trades. */
  state(): Readonly<Record<string, unknown>> {
    const lists = Object.fromEntries([...this.#channels].map(([channel, symbols]) => [channel, [...symbols]]));
    if (this.isOption) return { T: 'subscription', ...lists };
    const { trades } = lists;
    return { T: 'subscription', ...lists, corrections: trades, cancelErrors: trades };
  }

  wants(update: Update): boolean {
    const symbols = this.#channels.get(channelOf(update));
    return symbols !== undefined && (symbols.has(update.symbol) || symbols.has('*'));
  }

  get isEmpty(): boolean {
    for (const symbols of this.#channels.values()) if (symbols.size > 0) return false;
    return true;
  }
}

function channelOf(update: Update): string {
  switch (update.kind) {
    case 'quote':
      return 'quotes';
    case 'trade':
      return 'trades';
    case 'bar':
      return update.channel;
    case 'event':
      return update.channel === 'corrections' || update.channel === 'cancelErrors' ? 'trades' : update.channel;
  }
}

function isSymbolList(value: unknown, pattern: RegExp): value is readonly string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string' && pattern.test(each));
}

function refusalOf(channels: ReadonlyMap<string, ReadonlySet<string>>, rules: FeedRules): ErrorCode | undefined {
  const quotes = channels.get('quotes') ?? new Set();
  const trades = channels.get('trades') ?? new Set();
  if (rules.isOption && quotes.has('*')) return 413;
  if (rules.symbolsMax === undefined) return undefined;
  if (rules.isOption) return quotes.size > rules.symbolsMax ? 405 : undefined;
  // A star stands for more symbols than any limit allows.
  if (quotes.has('*') || trades.has('*')) return 405;
  return quotes.size + trades.size > rules.symbolsMax ? 405 : undefined;
}
