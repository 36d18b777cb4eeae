/** Everything that changes orders or positions. One request carries one intent of one account, named by the path alone. */
import type { AccountRequest, OrderNaming } from '../../../kernel/domain/account-request.js';
import type { AccountId } from '../../../kernel/domain/identifiers.js';
import * as answer from './answer-schemas.js';
import * as field from '../schema/fields.js';
import { optionOrder, orderChanges, stockOrder } from '../schema/orders.js';
import { OPTION_ORDER_EXAMPLES, STOCK_ORDER_EXAMPLES } from '../schema/order-examples.js';
import { accountOf, route } from './accounts.js';
import { BASE, type Call, type Doors, type Reply, type Route } from './route.js';

const dryRunQuery = { dry_run: field.flag.description('true runs everything but the send.') };
const accountPath = { account_id: field.accountId };
const orderPath = { ...accountPath, order_id: field.orderId };
const clientOrderPath = { ...accountPath, client_order_id: field.clientOrderId };

const DRY: Route['answers'][number] = {
  status: 200,
  description: 'With `dry_run`: what would be sent.',
  schema: answer.dryRun,
};
const UNKNOWN: Route['answers'][number] = {
  status: 202,
  description: 'Sent, and no verdict yet: ask at `Location`. Never send it again under another id.',
  schema: answer.unknownOrder,
};
const ORDERED: Route['answers'] = [{ status: 201, description: "Alpaca's order.", schema: answer.order }, UNKNOWN, DRY];

const REPLACED: Route['answers'] = [{ status: 200, description: "Alpaca's new order.", schema: answer.order }, UNKNOWN];

type Shape = Pick<Route, 'name' | 'method' | 'work' | 'summary' | 'answers' | 'path'> &
  Partial<Pick<Route, 'description' | 'query' | 'exclusive' | 'body' | 'bodyExamples'>>;

function trade(template: string, shape: Shape, make: (call: Call) => AccountRequest): Route {
  return {
    template: `${BASE}/accounts/{account_id}${template}`,
    permission: 'trade',
    tag: 'Orders',
    ...shape,
    query: { ...shape.query, ...dryRunQuery },
    handle: (call, doors) => carryOut(make(call), call, doors),
  };
}

/** A route that places an order. */
function place(template: string, shape: Shape, make: (call: Call) => AccountRequest): Route {
  return { ...trade(template, shape, make), places: make };
}

async function carryOut(request: AccountRequest, call: Call, doors: Doors): Promise<Reply> {
  const reply = await route(request, call, doors);
  return reply.kind === 'answer' ? withLocation(reply, request.accountId) : reply;
}

/** Where to find the order. The desk does not know our addresses, so it is added here. */
function withLocation(reply: Extract<Reply, { readonly kind: 'answer' }>, accountId: AccountId): Reply {
  if ((reply.status !== 201 && reply.status !== 202) || reply.headers['location'] !== undefined) return reply;
  const place = placeOf(reply.status, reply.body);
  if (place === undefined) return reply;
  return { ...reply, headers: { ...reply.headers, location: `${BASE}/accounts/${accountId}/orders/${place}` } };
}

function placeOf(status: number, body: Uint8Array): string | undefined {
  let order: unknown;
  try {
    order = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'));
  } catch {
    // The broker's bytes are not ours to judge: the answer goes out without the hint.
    return undefined;
  }
  const { id, client_order_id: clientOrderId } = (order ?? {}) as { id?: unknown; client_order_id?: unknown };
  if (status === 201 && isPlainId(id)) return encodeURIComponent(id);
  return isPlainId(clientOrderId) ? `by-client-order-id/${encodeURIComponent(clientOrderId)}` : undefined;
}

/** What else the broker may call an id does not belong in a header. */
function isPlainId(id: unknown): id is string {
  return typeof id === 'string' && /^[\x20-\x7e]{1,128}$/.test(id);
}

function namingOf({ idempotencyKey, sentBefore }: Call): OrderNaming {
  return { ...(idempotencyKey !== undefined && { idempotencyKey }), ...(sentBefore !== undefined && { sentBefore }) };
}

const dryRun = (call: Call): boolean => call.query['dry_run'] === 'true';

function submit(assetClass: 'stocks' | 'options') {
  return (call: Call): AccountRequest => ({
    kind: 'submit-order',
    accountId: accountOf(call),
    assetClass,
    order: call.body,
    dryRun: dryRun(call),
    ...namingOf(call),
  });
}

function decimalOf(call: Call, name: 'qty' | 'percentage'): Partial<Record<typeof name, string>> {
  const value = call.query[name];
  return value === undefined ? {} : { [name]: String(value) };
}

export const orderRoutes: readonly Route[] = [
  place(
    '/orders/stocks',
    {
      name: 'submitStockOrder',
      method: 'POST',
      work: 'order',
      summary: 'Submit a stock order',
      description: "The body in Alpaca's field names; values reach the broker as they came.",
      path: accountPath,
      body: stockOrder,
      bodyExamples: STOCK_ORDER_EXAMPLES,
      answers: ORDERED,
    },
    submit('stocks'),
  ),
  place(
    '/orders/options',
    {
      name: 'submitOptionOrder',
      method: 'POST',
      work: 'order',
      summary: 'Submit an option order of one to four legs',
      path: accountPath,
      body: optionOrder,
      bodyExamples: OPTION_ORDER_EXAMPLES,
      answers: ORDERED,
    },
    submit('options'),
  ),
  place(
    '/orders/{order_id}',
    {
      name: 'replaceOrder',
      method: 'PATCH',
      work: 'order',
      summary: 'Replace an order',
      description:
        'The broker answers with a new order id; whether the replacement happened is told by the order events.',
      path: orderPath,
      body: orderChanges,
      bodyExamples: { 'another price': { limit_price: '189.75' }, 'fewer shares': { qty: '5', limit_price: '189.75' } },
      answers: REPLACED,
    },
    (call) => ({
      kind: 'replace-order',
      accountId: accountOf(call),
      orderId: call.path['order_id'] ?? '',
      changes: call.body,
      dryRun: dryRun(call),
      ...namingOf(call),
    }),
  ),
  place(
    '/orders/by-client-order-id/{client_order_id}',
    {
      name: 'replaceOrderByClientOrderId',
      method: 'PATCH',
      work: 'order',
      summary: 'Replace an order by its client order id',
      description: 'Refused with `outcome-unknown-open` while the outcome of the order is unknown.',
      path: clientOrderPath,
      body: orderChanges,
      bodyExamples: { 'another price': { limit_price: '189.75' } },
      answers: REPLACED,
    },
    (call) => ({
      kind: 'replace-order',
      accountId: accountOf(call),
      clientOrderId: call.path['client_order_id'] ?? '',
      changes: call.body,
      dryRun: dryRun(call),
      ...namingOf(call),
    }),
  ),
  trade(
    '/orders/{order_id}',
    {
      name: 'cancelOrder',
      method: 'DELETE',
      work: 'cancel',
      summary: 'Cancel an order',
      path: orderPath,
      answers: [
        { status: 204, description: 'The broker took the cancel; the end is told by the order events.' },
        UNKNOWN,
        DRY,
      ],
    },
    (call) => ({
      kind: 'cancel-order',
      accountId: accountOf(call),
      orderId: call.path['order_id'] ?? '',
      dryRun: dryRun(call),
    }),
  ),
  trade(
    '/orders/by-client-order-id/{client_order_id}',
    {
      name: 'cancelOrderByClientOrderId',
      method: 'DELETE',
      work: 'cancel',
      summary: 'Cancel an order by its client order id',
      description: 'Also while its outcome is unknown: the cancel is queued then, and carried out once it is known.',
      path: clientOrderPath,
      answers: [
        { status: 204, description: 'The broker took the cancel; the end is published by the order events.' },
        UNKNOWN,
        DRY,
      ],
    },
    (call) => ({
      kind: 'cancel-order',
      accountId: accountOf(call),
      clientOrderId: call.path['client_order_id'] ?? '',
      dryRun: dryRun(call),
    }),
  ),
  trade(
    '/orders',
    {
      name: 'cancelAllOrders',
      method: 'DELETE',
      work: 'cancel',
      summary: 'Cancel every open order of the account',
      path: accountPath,
      answers: [{ status: 207, description: 'One entry an order.', schema: answer.cancelResults }, DRY],
    },
    (call) => ({ kind: 'cancel-all-orders', accountId: accountOf(call), dryRun: dryRun(call) }),
  ),
  place(
    '/positions',
    {
      name: 'closeAllPositions',
      method: 'DELETE',
      work: 'order',
      summary: 'Close every position of the account',
      description:
        'With `cancel_orders` all orders are canceled first, and their ends are waited for up to five seconds.',
      path: accountPath,
      query: { cancel_orders: field.flag.description('true cancels all open orders first.') },
      answers: [{ status: 207, description: 'One entry a position.', schema: answer.closeResults }],
    },
    (call) => ({
      kind: 'close-all-positions',
      accountId: accountOf(call),
      cancelOrders: call.query['cancel_orders'] === 'true',
      dryRun: dryRun(call),
      ...namingOf(call),
    }),
  ),
  place(
    '/positions/{symbol}',
    {
      name: 'closePosition',
      method: 'DELETE',
      work: 'order',
      summary: 'Close a position, whole or in part',
      description: 'Either `qty` or `percentage`; without them the whole position.',
      path: { ...accountPath, symbol: field.tradedSymbol },
      query: {
        qty: field.decimal('positive', 'Shares or contracts.'),
        percentage: field.decimal('positive', 'Of the position, up to 100.'),
      },
      exclusive: ['qty', 'percentage'],
      answers: ORDERED,
    },
    (call) => ({
      kind: 'close-position',
      accountId: accountOf(call),
      symbol: call.path['symbol'] ?? '',
      dryRun: dryRun(call),
      ...decimalOf(call, 'qty'),
      ...decimalOf(call, 'percentage'),
      ...namingOf(call),
    }),
  ),
];
