/** Shapes of the answers, for the document. Alpaca's own objects stay open: it adds fields without notice. */
import type { JsonSchema } from '../schema/fields.js';

const text = { type: 'string' };
const maybeText = { type: ['string', 'null'] };
const number = { type: 'number' };
const maybeNumber = { type: ['number', 'null'] };
const decimalText = { type: ['string', 'null'], description: 'A decimal as text.' };

function open(properties: Record<string, JsonSchema>, required: readonly string[] = []): JsonSchema {
  const shown = Object.entries(properties).map(([name, schema]) => [name, withExample(name, schema)]);
  return { type: 'object', properties: Object.fromEntries(shown) as JsonSchema, required, additionalProperties: true };
}

/** What a reader would meet under a name; a constant or a closed set shows itself. */
const EXAMPLES: Readonly<Record<string, unknown>> = {
  id: '7b08df51-c1ac-453c-99f9-323a5f075f0d',
  client_order_id: 'my-order-1',
  account_id: 'account_001',
  symbol: 'AAPL',
  underlying_symbol: 'AAPL',
  side: 'buy',
  type: 'limit',
  time_in_force: 'day',
  status: 'accepted',
  qty: '10',
  filled_qty: '0',
  limit_price: '189.50',
  submitted_at: '2026-01-05T14:30:00.123456Z',
  equity: '101234.56',
  cash: '25000.00',
  buying_power: '50000.00',
  avg_entry_price: '187.20',
  market_value: '1894.80',
  activity_type: 'FILL',
  bid_price: 189.47,
  bid_size: 2,
  ask_price: 189.49,
  ask_size: 3,
  bid_exchange: 'V',
  ask_exchange: 'V',
  tape: 'C',
  timestamp: '2026-01-05T14:30:00.123456789Z',
  source: 'table',
  feed: 'iex',
  age_ms: 12,
  timeframe: '1Day',
  open: 188.9,
  high: 190.1,
  low: 188.2,
  close: 189.5,
  volume: 1234567,
  trade_count: 4321,
  vwap: 189.21,
  price: 189.48,
  size: 100,
  expiration_date: '2027-01-15',
  strike_price: 200,
  last_price: 4.2,
  implied_volatility: 0.27,
  count: 1,
  code: 'symbol-not-found',
  detail: 'Symbol not found',
};

function withExample(name: string, schema: JsonSchema): JsonSchema {
  const example = EXAMPLES[name];
  if (example === undefined || 'const' in schema || 'enum' in schema) return schema;
  const types = [schema['type']].flat();
  const fits = types[0] === undefined || types.includes(typeof example);
  return fits ? { ...schema, examples: [example] } : schema;
}

function list(items: JsonSchema): JsonSchema {
  return { type: 'array', items };
}

export const order = open(
  {
    id: text,
    client_order_id: text,
    symbol: maybeText,
    side: maybeText,
    type: maybeText,
    time_in_force: maybeText,
    status: text,
    qty: decimalText,
    notional: decimalText,
    filled_qty: decimalText,
    filled_avg_price: decimalText,
    limit_price: decimalText,
    stop_price: decimalText,
    submitted_at: maybeText,
    legs: { type: ['array', 'null'], items: { type: 'object' } },
  },
  ['id', 'status'],
);
export const orders = list(order);
export const unknownOrder = open({ status: { const: 'unknown' }, client_order_id: text }, [
  'status',
  'client_order_id',
]);
export const dryRun = open({});
export const account = open(
  { id: text, status: text, equity: decimalText, cash: decimalText, buying_power: decimalText },
  ['id', 'status'],
);
export const position = open(
  { symbol: text, qty: text, side: text, avg_entry_price: decimalText, market_value: decimalText },
  ['symbol', 'qty'],
);
export const positions = list(position);
export const activities = list(open({ id: text, activity_type: text }, ['id', 'activity_type']));
export const portfolioHistory = open(
  { timestamp: list(number), equity: list(maybeNumber), profit_loss: list(maybeNumber), timeframe: text },
  ['timestamp', 'equity'],
);
export const closeResults = list(open({ symbol: text, status: number }, ['symbol', 'status']));
export const cancelResults = list(open({ id: text, status: number }, ['id', 'status']));

const sessionState = { enum: ['connecting', 'ready', 'degraded', 'reconciling', 'halted', 'failed'] };
export const sessionReport = open(
  {
    account_id: text,
    state: sessionState,
    trading_state: { enum: ['ACTIVE', 'REDUCING', 'HALTED'] },
    stream_connected: { type: 'boolean' },
    open_unknown: number,
    last_success_age_ms: number,
  },
  ['account_id', 'state'],
);
export const accounts = open({ accounts: list(sessionReport), count: number }, ['accounts', 'count']);

const quoteProperties = {
  type: { const: 'quote' },
  symbol: text,
  bid_price: maybeNumber,
  bid_size: maybeNumber,
  ask_price: maybeNumber,
  ask_size: maybeNumber,
  bid_exchange: maybeText,
  ask_exchange: maybeText,
  conditions: { type: ['array', 'null'], items: text },
  tape: maybeText,
  timestamp: text,
  source: text,
  feed: text,
  age_ms: number,
};
export const quote = open(quoteProperties, ['symbol', 'timestamp']);
const failedEntry = open({ symbol: text, error: open({ code: text, detail: text }, ['code']) }, ['symbol', 'error']);
export const quotes = open({ quotes: list({ anyOf: [quote, failedEntry] }), count: number }, ['quotes', 'count']);
const bar = open(
  {
    timestamp: text,
    open: number,
    high: number,
    low: number,
    close: number,
    volume: number,
    trade_count: number,
    vwap: number,
  },
  ['timestamp', 'open', 'high', 'low', 'close', 'volume'],
);
export const bars = open({ symbol: text, timeframe: text, bars: list(bar), next_page_token: maybeText }, [
  'symbol',
  'timeframe',
  'bars',
]);
export const trade = open({ symbol: text, price: number, size: number, timestamp: text, feed: text, age_ms: number }, [
  'symbol',
  'price',
  'timestamp',
]);
export const snapshots = open({ snapshots: list(open({ symbol: text }, ['symbol'])), count: number });
export const chain = open(
  {
    underlying_symbol: text,
    contracts: list(
      open(
        {
          symbol: text,
          expiration_date: text,
          type: { enum: ['call', 'put'] },
          strike_price: {},
          bid_price: maybeNumber,
          ask_price: maybeNumber,
          last_price: maybeNumber,
          implied_volatility: maybeNumber,
          greeks: { type: ['object', 'null'] },
          timestamp: maybeText,
        },
        ['symbol'],
      ),
    ),
    count: number,
  },
  ['underlying_symbol'],
);
export const optionBars = open({ timeframe: text, next_page_token: maybeText });
export const openApi = open({ openapi: text, info: open({}), paths: open({}) }, ['openapi', 'info', 'paths']);
export const asyncApi = open({ asyncapi: text, info: open({}), channels: open({}) }, ['asyncapi', 'info', 'channels']);
export const anyObject = open({});
export const anyList = list({ type: 'object' });
export const auditRecords = open({ records: list({ type: 'object' }), count: number });
export const health = open({ status: { enum: ['ready', 'not-ready', 'live', 'draining'] } }, ['status']);
export const pool = open({});
