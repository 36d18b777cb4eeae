/** What the broker and the layers below the edge would answer, cut down to the fields that matter: for the fake doors. */
import type { AccountRequest } from '../../src/kernel/domain/account-request.js';
import type { AdminRequest } from '../../src/kernel/ipc/control.js';
import type { MarketDataRequest } from '../../src/workers/market-data/market-data-door.js';

type Answered = { kind: 'answer'; status: number; headers: Record<string, string>; body: Uint8Array };

export function jsonAnswer(value: unknown, status = 200): Answered {
  const body = Buffer.from(value === undefined ? '' : JSON.stringify(value));
  return { kind: 'answer', status, headers: { 'content-type': 'application/json' }, body };
}

const ORDER = {
  id: '7b08df51-c1ac-453c-99f9-323a5f075f0d',
  client_order_id: 'my-order-1',
  symbol: 'AAPL',
  side: 'buy',
  type: 'limit',
  time_in_force: 'day',
  status: 'accepted',
  qty: '10',
  notional: null,
  filled_qty: '0',
  filled_avg_price: null,
  limit_price: '189.50',
  stop_price: null,
  submitted_at: '2026-01-05T14:30:00.123456Z',
  legs: null,
};
const POSITION = { symbol: 'AAPL', qty: '10', side: 'long', avg_entry_price: '187.20', market_value: '1894.80' };

const READS: Readonly<Record<string, unknown>> = {
  account: { id: ORDER.id, status: 'ACTIVE', equity: '101234.56', cash: '25000', buying_power: '50000' },
  positions: [POSITION],
  position: POSITION,
  orders: [ORDER],
  order: ORDER,
  'order-by-client-order-id': ORDER,
  activities: [{ id: '20260105::1', activity_type: 'FILL', qty: '1' }],
  'portfolio-history': { timestamp: [1_767_600_000], equity: [1.5, null], profit_loss: [0, null], timeframe: '1D' },
};

export function accountBody(request: AccountRequest): Answered {
  switch (request.kind) {
    case 'read':
      return jsonAnswer(READS[request.read.resource]);
    case 'submit-order':
    case 'close-position':
      return request.dryRun ? jsonAnswer({ dry_run: true, order: ORDER }) : jsonAnswer(ORDER, 201);
    case 'replace-order':
      return jsonAnswer(ORDER);
    case 'cancel-order':
      return jsonAnswer(undefined, 204);
    case 'cancel-all-orders':
      return jsonAnswer([{ id: ORDER.id, status: 200 }], 207);
    case 'close-all-positions':
      return jsonAnswer([{ symbol: 'AAPL', status: 201, body: ORDER }], 207);
    case 'read-audit':
      return jsonAnswer({ records: [{ kind: 'order_intent' }], count: 1 });
    default:
      return jsonAnswer({ account_id: request.accountId, state: 'ready' });
  }
}

const QUOTE = {
  type: 'quote',
  symbol: 'AAPL',
  bid_price: 189.47,
  bid_size: 2,
  ask_price: 189.49,
  ask_size: 3,
  timestamp: '2026-01-05T14:30:00.123456789Z',
  source: 'table',
  feed: 'iex',
  age_ms: 12,
};
const BAR = { timestamp: '2026-01-05T05:00:00Z', open: 1, high: 2, low: 1, close: 1.5, volume: 100 };
const BATCH = { quotes: [QUOTE, { symbol: 'x', error: { code: 'symbol-malformed', detail: 'no' } }], count: 2 };

export function marketBody(request: MarketDataRequest): unknown {
  switch (request.kind) {
    case 'stock-quote':
    case 'option-quote':
      return QUOTE;
    case 'stock-quotes':
    case 'option-quotes':
      return BATCH;
    case 'stock-bars':
      return { symbol: 'AAPL', timeframe: '1Day', bars: [BAR], next_page_token: null };
    case 'option-bars':
      return { timeframe: '1Day', bars: {}, next_page_token: null };
    case 'latest-trade':
      return { symbol: 'AAPL', price: 189.48, size: 100, timestamp: QUOTE.timestamp, feed: 'iex', age_ms: 5 };
    case 'stock-snapshots':
      return { snapshots: [{ symbol: 'AAPL' }], count: 1 };
    case 'option-chain':
      return { underlying_symbol: 'AAPL', contracts: [{ symbol: 'AAPL270115C00200000', type: 'call' }], count: 1 };
    default:
      return request.resource === 'assets' || request.resource === 'calendar' ? [{}] : {};
  }
}

export function adminBody(request: AdminRequest): unknown {
  return request.action === 'pool' ? { workers: [], accounts: [] } : { done: true };
}
