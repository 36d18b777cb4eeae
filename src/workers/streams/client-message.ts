/** What a client may say, parsed once. Anything else is refused with a code; nothing is guessed. */
import { isAccountId, type AccountId } from '../../kernel/domain/identifiers.js';
import type { EventPosition } from '../../kernel/domain/order-event.js';
import { FEED_CHANNELS, type FeedChannel } from '../market-data/market-data-feed.js';
import { normalizeSymbol } from '../market-data/symbols.js';
import type { StreamErrorRecord } from './stream-codes.js';

export interface ChannelLists {
  readonly feeds: ReadonlyMap<FeedChannel, readonly string[]>;
  /** Account ids, or `*` for all accounts of the token. */
  readonly orders: readonly string[];
  readonly status: readonly string[];
}

export type ClientMessage =
  | { readonly kind: 'auth'; readonly token: string }
  | { readonly kind: 'subscribe' | 'unsubscribe'; readonly lists: ChannelLists }
  | { readonly kind: 'resume'; readonly accountId: AccountId; readonly after: EventPosition }
  | { readonly kind: 'ping' }
  | { readonly kind: 'refused'; readonly error: StreamErrorRecord };

const ACCOUNT_CHANNELS = ['orders', 'status'] as const;
const CHANNELS: readonly string[] = [...FEED_CHANNELS, ...ACCOUNT_CHANNELS];

const FIELDS: Readonly<Record<string, readonly string[]>> = {
  auth: ['token'],
  subscribe: CHANNELS,
  unsubscribe: CHANNELS,
  resume: ['account_id', 'epoch', 'seq'],
  ping: [],
};

export function parseClientMessage(text: string): ClientMessage {
  const message = parseObject(text);
  if (message === undefined) return refused({ code: 'message-malformed' });
  const { action } = message;
  const fields = typeof action === 'string' && Object.hasOwn(FIELDS, action) ? FIELDS[action] : undefined;
  if (fields === undefined)
    return refused({ code: 'message-malformed', detail: `actions: ${Object.keys(FIELDS).join(', ')}` });
  const unknown = Object.keys(message).find((field) => field !== 'action' && !fields.includes(field));
  if (unknown !== undefined) return refused({ code: 'field-unknown', members: { field: unknown.slice(0, 64) } });
  if (action === 'auth') return parseAuth(message);
  if (action === 'resume') return parseResume(message);
  if (action === 'ping') return { kind: 'ping' };
  return parseChannels(action === 'subscribe' ? 'subscribe' : 'unsubscribe', message);
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function parseAuth(message: Readonly<Record<string, unknown>>): ClientMessage {
  const { token } = message;
  return typeof token === 'string' ? { kind: 'auth', token } : malformed('token');
}

function parseResume(message: Readonly<Record<string, unknown>>): ClientMessage {
  const { account_id: accountId, epoch, seq } = message;
  // A malformed id names no account: the same answer as for one that is missing or somebody else's.
  if (typeof accountId !== 'string') return malformed('account_id');
  if (!isAccountId(accountId)) return refused({ code: 'account-not-found' });
  if (!isCount(epoch)) return malformed('epoch');
  if (!isCount(seq)) return malformed('seq');
  return { kind: 'resume', accountId, after: { epoch, seq } };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function parseChannels(kind: 'subscribe' | 'unsubscribe', message: Readonly<Record<string, unknown>>): ClientMessage {
  const feeds = new Map<FeedChannel, readonly string[]>();
  for (const channel of FEED_CHANNELS) {
    const list = stringsOf(message[channel]);
    if (list === undefined) return malformed(channel);
    const symbols = list.map((text) => normalizeSymbol(channel.startsWith('option') ? 'option' : 'stock', text));
    const bad = symbols.indexOf(undefined);
    if (bad >= 0) {
      return refused({ code: 'symbol-malformed', members: { channel, symbol: list[bad]?.slice(0, 64) } });
    }
    const unique = [...new Set(symbols.filter((symbol) => symbol !== undefined))];
    if (unique.length > 0) feeds.set(channel, unique);
  }
  const [orders, status] = ACCOUNT_CHANNELS.map((channel) => stringsOf(message[channel]));
  if (orders === undefined) return malformed('orders');
  if (status === undefined) return malformed('status');
  return { kind, lists: { feeds, orders, status } };
}

function stringsOf(value: unknown): readonly string[] | undefined {
  if (value === undefined) return [];
  if (!Array.isArray(value)) return undefined;
  const strings: unknown[] = value;
  return strings.every((item): item is string => typeof item === 'string') ? strings : undefined;
}

function malformed(field: string): ClientMessage {
  return refused({ code: 'field-malformed', members: { field } });
}

function refused(error: StreamErrorRecord): ClientMessage {
  return { kind: 'refused', error };
}
