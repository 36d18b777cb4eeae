/** /v2/account, its configuration, activities and history (docs/broker-wire.md#account-activities). */
import { buyingPower, cashAvailable, optionsLevel } from '../venue/account-rules.js';
import type { Execution } from '../venue/account.js';
import { centsOf, magnitude, textOf } from '../venue/decimal.js';
import { nanosOf } from '../venue/instant.js';
import { malformed, notFound } from '../venue/refusal.js';
import { json, refused, type Answer } from './answer.js';
import { marketValue } from './position-routes.js';
import { list, readJson, type TradingRequest } from './request.js';

export function getAccount(request: TradingRequest): Answer {
  const { account } = request;
  const { long, short } = marketValue(request);
  const equity = account.cash + long + short;
  const power = buyingPower(account);
  const invested = long + magnitude(short);
  return json({
    id: account.id,
    admin_configurations: {},
    user_configurations: null,
    account_number: `PA${account.id.replaceAll('-', '').slice(0, 10).toUpperCase()}`,
    status: account.status,
    crypto_status: 'ACTIVE',
    options_approved_level: account.optionsApprovedLevel,
    options_trading_level: optionsLevel(account),
    currency: 'USD',
    buying_power: centsOf(power),
    regt_buying_power: centsOf(power),
    effective_buying_power: centsOf(power),
    non_marginable_buying_power: centsOf(cashAvailable(account)),
    options_buying_power: centsOf(cashAvailable(account)),
    cash: textOf(account.cash),
    accrued_fees: '0',
    pending_transfer_in: '0',
    pending_reg_taf_fees: '0',
    portfolio_value: textOf(equity),
    trading_blocked: account.tradingBlocked,
    transfers_blocked: false,
    account_blocked: account.accountBlocked,
    created_at: account.createdAt,
    trade_suspended_by_user: account.configuration.suspend_trade,
    multiplier: account.configuration.max_margin_multiplier,
    shorting_enabled: !account.configuration.no_shorting,
    equity: textOf(equity),
    last_equity: textOf(account.startingCash),
    long_market_value: textOf(long),
    short_market_value: textOf(short),
    position_market_value: textOf(invested),
    initial_margin: centsOf(invested / 2n),
    maintenance_margin: centsOf((invested * 3n) / 10n),
    last_maintenance_margin: '0',
    sma: centsOf(account.cash),
    intraday_adjustments: '0',
    balance_asof: account.createdAt.slice(0, 10),
    crypto_tier: 1,
  });
}

export function getConfiguration({ account }: TradingRequest): Answer {
  return json(account.configuration);
}

export function patchConfiguration({ account, body }: TradingRequest): Answer {
  const change = readJson(body);
  if (typeof change !== 'object' || change === null || Array.isArray(change)) {
    return refused(malformed('request body format is invalid'));
  }
  const known = account.configuration as unknown as Record<string, unknown>;
  for (const [name, value] of Object.entries(change)) {
    if (!Object.hasOwn(known, name)) continue;
    if (typeof value !== typeof known[name]) return refused(malformed(`invalid ${name}`));
  }
  for (const [name, value] of Object.entries(change)) if (Object.hasOwn(known, name)) known[name] = value;
  return json(account.configuration);
}

/** Fills only: the simulator pays no dividends. Other types answer an empty list. */
export function listActivities(request: TradingRequest, type: string | undefined): Answer {
  const { account, query } = request;
  const types = type === undefined ? list(query, 'activity_types') : [type];
  const size = Number(query.get('page_size') ?? '100');
  if (!Number.isInteger(size) || size < 1 || size > 100)
    return refused(malformed('page_size must be between 1 and 100'));
  const hasFills = types === undefined || types.includes('FILL');
  if (!hasFills || query.get('category') === 'non_trade_activity') return json([]);
  const isAscending = query.get('direction') === 'asc';
  const rows = isAscending ? account.executions : [...account.executions].reverse();
  const token = query.get('page_token');
  const from = token === null ? 0 : rows.findIndex((row) => row.activityId === token) + 1;
  if (token !== null && from === 0) return refused(notFound('page_token not found'));
  const shownUntil =
    BigInt(Math.round(request.venue.clock.now() - request.venue.behaviour.activitiesLagMs)) * 1_000_000n;
  const shown = rows.slice(from).filter(({ at }) => (nanosOf(at) ?? 0n) <= shownUntil + MILLISECOND);
  const wanted = shown.filter((row) => isWanted(row, query));
  return json(wanted.slice(0, size).map(renderActivity));
}

/** Times are spread within a millisecond. */
const MILLISECOND = 1_000_000n;

function isWanted(row: Execution, query: URLSearchParams): boolean {
  const orderId = query.get('order_id');
  if (orderId !== null && row.orderId !== orderId) return false;
  const date = query.get('date');
  if (date !== null && !row.at.startsWith(date.slice(0, 10))) return false;
  const at = nanosOf(row.at) ?? 0n;
  const [after, until] = [query.get('after'), query.get('until')].map((text) =>
    text === null ? undefined : nanosOf(text),
  );
  return (after === undefined || at > after) && (until === undefined || at < until);
}

function renderActivity(row: Execution): Record<string, unknown> {
  return {
    id: row.activityId,
    activity_type: 'FILL',
    transaction_time: row.at,
    type: row.type,
    price: row.price,
    qty: row.qty,
    side: row.side,
    symbol: row.symbol,
    leaves_qty: row.leavesQty,
    order_id: row.orderId,
    cum_qty: row.cumQty,
    order_status: row.type === 'fill' ? 'filled' : 'partially_filled',
  };
}

const STEP_MS: Readonly<Record<string, number>> = {
  '1Min': 60_000,
  '5Min': 300_000,
  '15Min': 900_000,
  '1H': 3_600_000,
  '1D': 86_400_000,
};
const PERIOD_MS: Readonly<Record<string, number>> = {
  D: 86_400_000,
  W: 7 * 86_400_000,
  M: 30 * 86_400_000,
  A: 365 * 86_400_000,
};

/** Flat at the starting cash until now, then today's equity: shape and lengths are right, history is not kept. */
export function getPortfolioHistory(request: TradingRequest): Answer {
  const { query, account, venue } = request;
  const ranges = ['period', 'start', 'end'].filter((name) => query.has(name));
  if (ranges.length > 2) return refused(malformed('only two of period, start and end are accepted'));
  const period = /^(\d{1,3})([DWMA])$/.exec(query.get('period') ?? '1M');
  if (period === null) return refused(malformed('invalid period'));
  const span = Number(period[1]) * (PERIOD_MS[period[2] ?? 'M'] ?? 0);
  const timeframe = query.get('timeframe') ?? defaultTimeframe(span);
  const step = STEP_MS[timeframe];
  if (step === undefined) return refused(malformed('invalid timeframe'));
  if (timeframe !== '1D' && span > 30 * 86_400_000) return refused(malformed('timeframe is too small for the period'));
  const end = Math.floor(venue.clock.now() / step) * step;
  const points = Math.max(1, Math.min(10_000, Math.floor(span / step)));
  const { long, short } = marketValue(request);
  const base = Number(textOf(account.startingCash));
  const now = Number(textOf(account.cash + long + short));
  const timestamp = Array.from({ length: points }, (_, at) => (end - (points - 1 - at) * step) / 1000);
  const equity = timestamp.map((_, at) => (at === points - 1 ? now : base));
  return json({
    timestamp,
    equity,
    profit_loss: equity.map((value) => round(value - base, 2)),
    profit_loss_pct: equity.map((value) => (base === 0 ? 0 : round((value - base) / base, 6))),
    base_value: base,
    base_value_asof: new Date((timestamp[0] ?? 0) * 1000).toISOString().slice(0, 10),
    timeframe,
  });
}

function defaultTimeframe(spanMs: number): string {
  if (spanMs < 7 * 86_400_000) return '1Min';
  return spanMs < 30 * 86_400_000 ? '15Min' : '1D';
}

function round(value: number, digits: number): number {
  const scale = 10 ** digits;
  return Math.round(value * scale) / scale;
}
