/** Reads of one account, and its audit trail. Trading answers are Alpaca's own JSON, untouched. */
import type { AccountRead, AccountRequest, Freshness } from '../../../kernel/domain/account-request.js';
import type { AccountId } from '../../../kernel/domain/identifiers.js';
import { mayReach } from '../../../kernel/domain/permissions.js';
import { AUDIT_KINDS } from '../../../kernel/audit/audit-log.js';
import { GatewayError } from '../../../kernel/domain/errors.js';
import * as answer from './answer-schemas.js';
import * as field from '../schema/fields.js';
import { writeQuery } from '../query-text.js';
import { BASE, jsonReply, type Call, type Doors, type Reply, type Route } from './route.js';

const freshness = {
  fresh: field.flag.description('true asks the broker instead of the mirror.'),
  max_age: field.decimal('not-negative', 'Seconds: an older answer of the mirror is not good enough.'),
};
const accountPath = { account_id: field.accountId };

/** Runs one request where the account lives and flattens the times for Server-Timing. */
export async function route(request: AccountRequest, call: Call, doors: Doors): Promise<Reply> {
  const writes = request.kind !== 'read' && request.kind !== 'describe' && request.kind !== 'read-audit';
  // A client that hangs up cancels its read, never its order.
  const routed = await doors.router.execute(request, call.context, writes ? undefined : call.signal);
  return { ...routed.answer, queueMs: routed.queueMs, meshMs: routed.meshMs };
}

export function accountOf(call: Call): AccountId {
  if (call.accountId === undefined)
    throw new GatewayError('ASSERTION_FAILED', {}, { message: 'the route has an account' });
  return call.accountId;
}

function freshnessOf({ query }: Call): Freshness {
  const maxAge = query['max_age'];
  return { fresh: query['fresh'] === 'true', ...(maxAge === undefined ? {} : { maxAgeMs: Number(maxAge) * 1_000 }) };
}

/** The query as the broker spells it: what is ours is taken out. */
function brokerQuery({ query }: Call): string {
  return writeQuery({ ...query, fresh: undefined, max_age: undefined });
}

type Shape = Pick<Route, 'name' | 'summary' | 'answers'> & Partial<Pick<Route, 'description' | 'path' | 'query'>>;

function read(template: string, shape: Shape, make: (call: Call) => AccountRead): Route {
  return {
    method: 'GET',
    template: `${BASE}/accounts/{account_id}${template}`,
    permission: 'read',
    work: 'read',
    tag: 'Accounts',
    ...shape,
    path: { ...accountPath, ...shape.path },
    query: { ...shape.query, ...freshness },
    handle: (call, doors) =>
      route({ kind: 'read', accountId: accountOf(call), read: make(call), freshness: freshnessOf(call) }, call, doors),
  };
}

const found = (schema: field.JsonSchema): Route['answers'] => [
  { status: 200, description: "Alpaca's answer.", schema },
];

export const accountRoutes: readonly Route[] = [
  {
    name: 'listAccounts',
    method: 'GET',
    template: `${BASE}/accounts`,
    permission: 'read',
    work: 'read',
    tag: 'Accounts',
    summary: "Accounts within the token's scope",
    answers: [{ status: 200, description: 'In the order of the configuration.', schema: answer.accounts }],
    handle: listAccounts,
  },
  read('/account', { name: 'getAccount', summary: 'Balances and flags', answers: found(answer.account) }, () => ({
    resource: 'account',
  })),
  read('/positions', { name: 'getPositions', summary: 'Open positions', answers: found(answer.positions) }, () => ({
    resource: 'positions',
  })),
  read(
    '/positions/{symbol}',
    {
      name: 'getPosition',
      summary: 'One position',
      path: { symbol: field.tradedSymbol },
      answers: found(answer.position),
    },
    ({ path }) => ({ resource: 'position', symbol: path['symbol'] ?? '' }),
  ),
  read(
    '/orders',
    {
      name: 'getOrders',
      summary: 'Orders',
      query: {
        status: field.oneOf('open', 'closed', 'all'),
        limit: field.count(500),
        after: field.time,
        until: field.time,
        direction: field.oneOf('asc', 'desc'),
        nested: field.flag,
        symbols: field.symbolsText,
        side: field.oneOf('buy', 'sell'),
        asset_class: field.words,
        before_order_id: field.orderId,
        after_order_id: field.orderId,
      },
      answers: found(answer.orders),
    },
    (call) => ({ resource: 'orders', query: brokerQuery(call) }),
  ),
  read(
    '/orders/by-client-order-id/{client_order_id}',
    {
      name: 'getOrderByClientOrderId',
      summary: 'One order by the id you chose',
      path: { client_order_id: field.clientOrderId },
      answers: [
        ...found(answer.order),
        { status: 202, description: 'Sent, and no verdict yet.', schema: answer.unknownOrder },
      ],
    },
    ({ path }) => ({ resource: 'order-by-client-order-id', clientOrderId: path['client_order_id'] ?? '' }),
  ),
  read(
    '/orders/{order_id}',
    {
      name: 'getOrder',
      summary: 'One order',
      path: { order_id: field.orderId },
      query: { nested: field.flag },
      answers: found(answer.order),
    },
    (call) => ({ resource: 'order', orderId: call.path['order_id'] ?? '', query: brokerQuery(call) }),
  ),
  read(
    '/activities',
    {
      name: 'getActivities',
      summary: 'Account activities',
      query: {
        activity_types: field.words,
        category: field.oneOf('trade_activity', 'non_trade_activity'),
        order_id: field.orderId,
        date: field.time,
        after: field.time,
        until: field.time,
        direction: field.oneOf('asc', 'desc'),
        page_size: field.count(100),
        page_token: field.pageToken,
      },
      answers: found(answer.activities),
    },
    (call) => ({ resource: 'activities', query: brokerQuery(call) }),
  ),
  read(
    '/portfolio/history',
    {
      name: 'getPortfolioHistory',
      summary: 'Portfolio history',
      query: {
        period: field.words,
        timeframe: field.oneOf('1Min', '5Min', '15Min', '1H', '1D'),
        start: field.time,
        end: field.time,
        date_end: field.date,
        intraday_reporting: field.oneOf('market_hours', 'extended_hours', 'continuous'),
        pnl_reset: field.oneOf('per_day', 'no_reset'),
        cashflow_types: field.words,
        extended_hours: field.flag,
      },
      answers: found(answer.portfolioHistory),
    },
    (call) => ({ resource: 'portfolio-history', query: brokerQuery(call) }),
  ),
  {
    name: 'getAudit',
    method: 'GET',
    template: `${BASE}/accounts/{account_id}/audit`,
    permission: 'audit',
    work: 'read',
    tag: 'Audit',
    summary: 'Audit records of an account',
    path: accountPath,
    query: {
      from: field.time.description('Inclusive.'),
      until: field.time.description('Exclusive.'),
      kinds: field.words.description(`Of: ${AUDIT_KINDS.join(', ')}.`),
      limit: field.count(10_000),
    },
    answers: [{ status: 200, description: 'By time.', schema: answer.auditRecords }],
    handle: (call: Call, doors: Doors): Promise<Reply> => {
      const given = Object.entries(call.query).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, String(value)] as const],
      );
      return route({ kind: 'read-audit', accountId: accountOf(call), query: Object.fromEntries(given) }, call, doors);
    },
  },
];

function listAccounts(call: Call, doors: Doors): Reply {
  const principal = call.principal;
  const ids = principal === undefined ? [] : doors.router.accountIds().filter((id) => mayReach(principal, id));
  const accounts = ids.map((id) => {
    const report = doors.router.report(id);
    if (report === undefined) return { account_id: id, state: 'connecting' };
    return {
      account_id: id,
      state: report.state,
      trading_state: report.tradingState,
      stream_connected: report.streamConnected,
      open_unknown: report.openUnknown,
      ...(report.lastSuccessAgeMs === undefined ? {} : { last_success_age_ms: Math.round(report.lastSuccessAgeMs) }),
    };
  });
  return jsonReply({ accounts, count: accounts.length });
}
