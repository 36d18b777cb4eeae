/** The stream's contract as an AsyncAPI 3.0 document, made from the tables that the code itself uses. */
import { FEED_CHANNELS } from '../market-data/market-data-feed.js';
import { CLOSE_CODES, STREAM_ERRORS } from './stream-codes.js';

type Schema = Readonly<Record<string, unknown>>;

const text: Schema = { type: 'string' };
const count: Schema = { type: 'integer', minimum: 0 };
const list = (description: string): Schema => ({ type: 'array', items: text, description });
const constant = (value: string): Schema => ({ type: 'string', const: value });

const channelLists: Readonly<Record<string, Schema>> = {
  ...Object.fromEntries(FEED_CHANNELS.map((channel) => [channel, list('Symbols. Needs the permission market_data.')])),
  orders: list('Account ids, or `*` for all accounts of the token. Needs the permission read.'),
  status: list('Account ids, or `*`. Needs the permission read.'),
};

const ACTIONS: Readonly<
  Record<string, { readonly summary: string; readonly fields: Readonly<Record<string, Schema>> }>
> = {
  auth: { summary: 'Shows a token: the first one, or a newer one of the same subject.', fields: { token: text } },
  subscribe: { summary: 'Adds to the subscriptions, as a whole or not at all.', fields: channelLists },
  unsubscribe: { summary: 'Takes from the subscriptions.', fields: channelLists },
  resume: {
    summary: 'Subscribes to the order events of an account from a place on: `epoch` and `seq` of the last event seen.',
    fields: { account_id: text, epoch: count, seq: count },
  },
  ping: { summary: 'Asks for a pong.', fields: {} },
};

const QUOTE: Readonly<Record<string, Schema>> = {
  symbol: text,
  bid_price: { type: 'number' },
  bid_size: { type: 'number' },
  ask_price: { type: 'number' },
  ask_size: { type: 'number' },
  timestamp: { type: 'string', format: 'date-time' },
  snapshot: { type: 'boolean', description: 'The last known value at the time of subscribing, not an update.' },
};

const PRINT: Readonly<Record<string, Schema>> = { symbol: text, price: { type: 'number' }, size: { type: 'number' } };

const RECORDS: Readonly<
  Record<string, { readonly summary: string; readonly fields: Readonly<Record<string, Schema>> }>
> = {
  subscription: {
    summary: 'The full set of subscriptions; answers every action that changes it.',
    fields: channelLists,
  },
  quote: { summary: 'A stock quote.', fields: QUOTE },
  option_quote: { summary: 'An option quote.', fields: QUOTE },
  trade: { summary: 'A market print.', fields: PRINT },
  option_trade: { summary: 'A market print of an option.', fields: PRINT },
  bar: {
    summary: 'A minute bar.',
    fields: {
      symbol: text,
      ...Object.fromEntries(['open', 'high', 'low', 'close', 'volume'].map((n) => [n, { type: 'number' }])),
    },
  },
  order: {
    summary: 'One change of one order. `seq` has no holes within an epoch.',
    fields: {
      account_id: text,
      epoch: count,
      seq: count,
      event: text,
      timestamp: text,
      order: { type: 'object', description: "Alpaca's order, byte for byte." },
      reconciled: { type: 'boolean', description: 'Found by reading the broker after a gap, not heard on its stream.' },
    },
  },
  gap: {
    summary: 'Order events that cannot be told any more. Read the orders of the account instead.',
    fields: { account_id: text, epoch: count, from: count, to: count },
  },
  status: { summary: 'The state of the session of an account.', fields: { account_id: text, state: text } },
  pong: { summary: 'Answers a ping.', fields: {} },
  error: {
    summary: 'An action was refused, or the socket is about to be closed.',
    fields: { code: { type: 'string', enum: Object.keys(STREAM_ERRORS) }, detail: text },
  },
};

export function asyncApiDocument(version: string): Schema {
  const said = messages(ACTIONS, 'action');
  const told = messages(RECORDS, 'type');
  const names = (of: Readonly<Record<string, unknown>>): readonly Schema[] =>
    Object.keys(of).map((name) => ({ $ref: `#/channels/stream/messages/${name}` }));
  return {
    asyncapi: '3.0.0',
    info: { title: 'Opitios gateway: client streams', version, description: describe() },
    channels: { stream: { address: '/api/v1/stream', messages: { ...said, ...told } } },
    operations: {
      say: { action: 'receive', channel: { $ref: '#/channels/stream' }, messages: names(said) },
      hear: { action: 'send', channel: { $ref: '#/channels/stream' }, messages: names(told) },
    },
  };
}

function messages(
  table: Readonly<Record<string, { readonly summary: string; readonly fields: Readonly<Record<string, Schema>> }>>,
  tag: 'action' | 'type',
): Readonly<Record<string, Schema>> {
  const entries = Object.entries(table).map(([name, { summary, fields }]) => {
    const payload = { type: 'object', required: [tag], properties: { [tag]: constant(name), ...fields } };
    return [`${tag}_${name}`, { name, summary, payload }] as const;
  });
  return Object.fromEntries(entries);
}

function describe(): string {
  const errors = Object.entries(STREAM_ERRORS).map(([code, meaning]) => `- \`${code}\`: ${meaning}`);
  const closes = Object.entries(CLOSE_CODES).map(([meaning, code]) => `- ${code}: ${meaning}`);
  return [
    'A message is one record or an array of records. Authenticate by `Authorization: Bearer`, by the subprotocol',
    '`bearer.<jwt>`, or by a first message within five seconds; never in the address.',
    `\n\nError codes:\n\n${errors.join('\n')}\n\nClose codes beyond RFC 6455:\n\n${closes.join('\n')}`,
  ].join(' ');
}
