/**
 * Alpaca's one-letter market records turned into the gateway's spelling (docs/api.md#market-data) as JSON text. Every
 * text is left open (no closing brace), so that a reader appends the age and closes it without parsing. A value that
 * the broker did not send is null for prices and sizes, and absent otherwise; nothing is ever invented.
 */

/** A record as Alpaca's REST or stream brings it, by the broker's one-letter names. */
export type BrokerRecord = Readonly<Record<string, unknown>>;

/** Where a record came from: `stream` or `rest`, followed by `:account` when a stand-in's key fetched it. */
export interface Origin {
  readonly source: string;
  readonly feed: string;
}

export function quoteText(
  type: 'quote' | 'option_quote',
  symbol: string,
  record: BrokerRecord,
  origin: Origin,
): string {
  return (
    opening(type, symbol) +
    `,"bid_price":${num(record['bp'])},"bid_size":${num(record['bs'])}` +
    `,"ask_price":${num(record['ap'])},"ask_size":${num(record['as'])}` +
    `,"timestamp":${json(record['t'])},"bid_exchange":${json(record['bx'])},"ask_exchange":${json(record['ax'])}` +
    closing(record, origin)
  );
}

export function tradeText(
  type: 'trade' | 'option_trade',
  symbol: string,
  record: BrokerRecord,
  origin: Origin,
): string {
  return (
    opening(type, symbol) +
    `,"price":${num(record['p'])},"size":${num(record['s'])},"timestamp":${json(record['t'])}` +
    // Trade ids are unsigned 64-bit: as a number a client would read the wrong one.
    tradeId(record['i']) +
    `,"exchange":${json(record['x'])}` +
    closing(record, origin)
  );
}

export function barText(symbol: string, record: BrokerRecord, origin: Origin): string {
  return `${opening('bar', symbol)},${barFields(record)},"source":"${origin.source}","feed":"${origin.feed}"`;
}

/** The fields of a bar without braces, as in `bars` of a history. */
export function barFields(record: BrokerRecord): string {
  return (
    `"timestamp":${json(record['t'])},"open":${num(record['o'])},"high":${num(record['h'])},"low":${num(record['l'])}` +
    `,"close":${num(record['c'])},"volume":${num(record['v'])},"trade_count":${num(record['n'])},"vwap":${num(record['vw'])}`
  );
}

export function snapshotText(symbol: string, snapshot: BrokerRecord, origin: Origin): string {
  const part = (name: string, broker: string, text: (record: BrokerRecord) => string): string => {
    const record = snapshot[broker];
    return isRecord(record) ? `,"${name}":${text(record)}}` : `,"${name}":null`;
  };
  const bar = (record: BrokerRecord): string => `{${barFields(record)}`;
  return (
    `{"symbol":${JSON.stringify(symbol)}` +
    part('latest_trade', 'latestTrade', (record) => tradeText('trade', symbol, record, origin)) +
    part('latest_quote', 'latestQuote', (record) => quoteText('quote', symbol, record, origin)) +
    part('minute_bar', 'minuteBar', bar) +
    part('daily_bar', 'dailyBar', bar) +
    part('previous_daily_bar', 'prevDailyBar', bar) +
    `,"source":"${origin.source}","feed":"${origin.feed}"`
  );
}

export function isRecord(value: unknown): value is BrokerRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function opening(type: string, symbol: string): string {
  return `{"type":"${type}","symbol":${JSON.stringify(symbol)}`;
}

function closing(record: BrokerRecord, origin: Origin): string {
  const tape = record['z'];
  return (
    `,"conditions":${conditions(record['c'])}` +
    (typeof tape === 'string' ? `,"tape":${JSON.stringify(tape)}` : '') +
    `,"source":"${origin.source}","feed":"${origin.feed}"`
  );
}

function tradeId(id: unknown): string {
  const isId = typeof id === 'number' || typeof id === 'bigint' || typeof id === 'string';
  return isId ? `,"trade_id":${JSON.stringify(String(id))}` : '';
}

/** Stocks send a list, options one text: a client always sees a list. */
function conditions(value: unknown): string {
  if (Array.isArray(value)) return JSON.stringify(value);
  return typeof value === 'string' ? `[${JSON.stringify(value)}]` : '[]';
}

/** The market data host sends numbers; a 64-bit integer arrives as bigint from msgpack. */
export function num(value: unknown): string {
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : 'null';
  return typeof value === 'bigint' ? value.toString() : 'null';
}

function json(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : 'null';
}
