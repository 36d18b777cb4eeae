/** The keys that concern the broker, orders, risk and market data. Defaults are the broker's own figures. */
import Joi from 'joi';
import { instrumentOfSymbol, isAdjustedContract } from '../domain/instrument.js';
import { decimal, flag, section, text, url, whole } from './schema-fields.js';

const endpoints = section({
  trading_paper: url('REST of paper accounts.', 'http', 'https').default('https://paper-api.alpaca.markets'),
  trading_live: url('REST of live accounts.', 'http', 'https').default('https://api.alpaca.markets'),
  data: url('REST of market data.', 'http', 'https').default('https://data.alpaca.markets'),
  stream_trading_paper: url('Trade updates of paper accounts.', 'ws', 'wss').default(
    'wss://paper-api.alpaca.markets/stream',
  ),
  stream_trading_live: url('Trade updates of live accounts.', 'ws', 'wss').default('wss://api.alpaca.markets/stream'),
  stream_data: url('Market data streams.', 'ws', 'wss').default('wss://stream.data.alpaca.markets'),
});

export const alpacaSection = section({
  endpoints,
  feed: Joi.string()
    .valid('iex', 'sip', 'delayed_sip', 'boats', 'overnight', 'test')
    .default('iex')
    .description('Stock feed of the plan.'),
  option_feed: Joi.string().valid('indicative', 'opra').default('indicative').description('Option feed of the plan.'),
  request_timeout_ms: whole('One request to the broker.', 100, 120_000).default(10_000),
  rate_limit_per_minute: whole('Requests a minute of one account until the broker says otherwise.', 1, 100_000).default(
    200,
  ),
  data_rate_limit_per_minute: whole('The same for market data.', 1, 100_000).default(200),
  pool_connections: whole('Sockets per origin and worker, all open before ready.', 1, 1024).default(16),
  warm_concurrency: whole('Accounts connected at a time at the start.', 1, 1024).default(32),
});

/**
 * Names that the order rules know how to resolve. An asset's id is not taken: nothing in the file would say what it names.
 */
function symbolList(description: string): Joi.ArraySchema {
  const symbol = Joi.string()
    .custom((value: string, tools) =>
      instrumentOfSymbol(value) === undefined && !isAdjustedContract(value) ? tools.error('symbol.unknown') : value,
    )
    .messages({ 'symbol.unknown': 'must be the symbol of a stock, a contract or a pair' });
  return Joi.array().items(symbol).description(description);
}

export const riskRules = Joi.object({
  max_order_notional: decimal('Largest value of one order, dollars.'),
  max_order_qty: decimal('Largest quantity of one order.'),
  max_orders_per_minute: whole('Orders of one account in a minute.', 1, 100_000),
  max_open_orders: whole('Open orders of one account.', 1, 100_000),
  allow_symbols: symbolList('Only these, and their options. Symbols or pairs in any case.'),
  deny_symbols: symbolList('Never these, nor their options. Symbols or pairs in any case.'),
  price_collar_percent: decimal('Furthest a limit, a stop or a way out of an OCO may stand from the quote, percent.'),
  max_quote_age_ms: whole('Oldest quote on which a market order is taken.', 1, 86_400_000),
  max_spread_percent: decimal('Widest spread on which a market order is taken, percent of the middle.'),
  no_short: Joi.boolean().description('Deny sells beyond the position.'),
  duplicate_window_ms: whole('Two orders alike within this time: the second is denied.', 1, 3_600_000),
});

export const accountRisk = Joi.object().pattern(/^[\w-]{1,64}$/, riskRules);

export const ordersSection = section({
  require_idempotency_key: flag('Refuse orders without Idempotency-Key.', false),
  ambiguous: Joi.string()
    .valid('reconcile_only', 'resubmit_same_id')
    .default('reconcile_only')
    .description('What is done about an order whose outcome is unknown.'),
  answer_deadline_ms: whole('How long a caller waits for an unknown outcome before the 202.', 100, 60_000).default(
    5000,
  ),
  quarantine_after_ms: whole(
    'An outcome unknown for longer, and in no list, is given up as unconfirmed, with an alarm; the account goes on, and the order is watched and reserved until the end of the next trading day.',
    1000,
    86_400_000,
  ).default(60_000),
  on_late: Joi.string()
    .valid('keep', 'cancel')
    .default('keep')
    .description('An order found late stays or is canceled.'),
  keep_keys_days: whole('How long Idempotency-Keys are remembered.', 1, 90).default(7),
  id_key_file: text(
    '32 bytes in base64, mode 0600, outside data_dir, the same on every instance: client order ids are derived with it, so that no other caller can compute them.',
  ),
  previous_id_key_file: text('The one before, for seven days after a change.'),
});

export const marketDataSection = section({
  fallback_accounts: Joi.array()
    .items(Joi.string())
    .max(100)
    .default([])
    .description('Accounts that stand in for data when the master is refused or unreachable.'),
  subscribe_limit: whole('Stock symbols subscribed upstream; what the plan allows.', 1, 100_000).default(30),
  option_subscribe_limit: whole('Option contracts subscribed upstream.', 1, 100_000).default(200),
  quote_max_age_ms: whole('An older quote is fetched again unless its symbol is subscribed.', 0, 3_600_000).default(
    1000,
  ),
  mute_timeout_ms: whole('A stream silent for longer is opened again.', 1000, 3_600_000).default(30_000),
  shared_memory_dir: text('Where the shared quote table lies, and the marks of orders that leave; tmpfs.').default(
    '/dev/shm',
  ),
  table_size_mb: whole('Largest size of that table.', 8, 4096).default(256),
});
