/** /v2/orders and what hangs below it (docs/broker-wire.md#orders). */
import { isTerminal, renderOrder, type Order } from '../venue/order.js';
import { nanosOf } from '../venue/instant.js';
import { badQuery, isRefusal, malformed, notFound, refusalBody, type Refusal } from '../venue/refusal.js';
import { json, NO_CONTENT, refused, type Answer } from './answer.js';
import { list, readJson, type TradingRequest } from './request.js';

export function postOrder(request: TradingRequest): Answer {
  const body = readJson(request.body);
  if (body === undefined) return refused(malformed('request body format is invalid'));
  const order = request.venue.submit(request.account, body, request.visibleAfterMs);
  if (isRefusal(order)) return refused(order);
  return { ...json(renderOrder(order)), created: [order.id, ...order.legs.map((leg) => leg.id)] };
}

export function getOrder(request: TradingRequest, orderId: string): Answer {
  const order = request.account.ordersById.get(orderId);
  if (order === undefined || !isVisible(request, order)) return refused(notFound(`order not found for ${orderId}`));
  return json(renderOrder(order, request.query.get('nested') === 'true'));
}

export function getOrderByClientId(request: TradingRequest): Answer {
  const id = request.query.get('client_order_id');
  if (id === null || id === '') return refused(malformed('client_order_id is required'));
  const order = request.account.ordersByClientId.get(id);
  if (order === undefined || !isVisible(request, order)) return refused(notFound(`order not found for ${id}`));
  return json(renderOrder(order));
}

export function patchOrder(request: TradingRequest, orderId: string): Answer {
  const order = request.account.ordersById.get(orderId);
  if (order === undefined) return refused(notFound(`order not found for ${orderId}`));
  const next = request.venue.replace(request.account, order, readJson(request.body));
  return isRefusal(next) ? refused(next) : { ...json(renderOrder(next)), created: [next.id] };
}

export function deleteOrder(request: TradingRequest, orderId: string): Answer {
  const order = request.account.ordersById.get(orderId);
  if (order === undefined) return refused(notFound(`order not found for ${orderId}`));
  const refusal = request.venue.cancel(order);
  return refusal === undefined ? NO_CONTENT : refused(refusal);
}

/** 207: one entry an open order, each with the status of its own cancel. */
export function deleteOrders(request: TradingRequest): Answer {
  const open = [...request.account.open].filter((order) => order.parent === undefined);
  const results = open.map((order) => {
    const refusal = request.venue.cancel(order);
    if (refusal === undefined) return { id: order.id, status: 200 };
    return { id: order.id, status: refusal.status, body: refusalBody(refusal) };
  });
  return json(results, 207);
}

interface ListWish {
  readonly status: string;
  readonly limit: number;
  readonly isAscending: boolean;
  readonly isNested: boolean;
  readonly after: bigint | undefined;
  readonly until: bigint | undefined;
  readonly afterSequence: number | undefined;
  readonly beforeSequence: number | undefined;
}

export function listOrders(request: TradingRequest): Answer {
  const wish = readWish(request);
  if (isRefusal(wish)) return refused(wish);
  const symbols = list(request.query, 'symbols');
  const classes = list(request.query, 'asset_class');
  const side = request.query.get('side');
  const found: Order[] = [];
  for (const order of inDirection(request, wish)) {
    if (found.length >= wish.limit) break;
    if (!isVisible(request, order) || !isWanted(order, wish)) continue;
    if (side !== null && order.terms.side !== side) continue;
    if (classes !== undefined && !classes.includes('all') && !classes.includes(order.terms.assetClass)) continue;
    if (symbols !== undefined && !hasSymbol(request, order, symbols)) continue;
    found.push(order);
  }
  return {
    status: 200,
    body: `[${found.map((order) => JSON.stringify(renderOrder(order, wish.isNested))).join(',')}]`,
  };
}

function readWish({ query, account }: TradingRequest): ListWish | Refusal {
  const status = query.get('status') ?? 'open';
  if (!['open', 'closed', 'all'].includes(status)) return malformed('invalid status');
  const limit = Number(query.get('limit') ?? '50');
  if (!Number.isInteger(limit) || limit < 1 || limit > 500) return malformed('limit must be between 1 and 500');
  const direction = query.get('direction') ?? 'desc';
  if (direction !== 'asc' && direction !== 'desc') return malformed('invalid direction');
  const times = { after: readTime(query.get('after')), until: readTime(query.get('until')) };
  if (times.after === null || times.until === null) return badQuery('invalid timestamp');
  const cursors = [query.get('after_order_id'), query.get('before_order_id')] as const;
  if (cursors[0] !== null && cursors[1] !== null)
    return malformed('before_order_id and after_order_id are mutually exclusive');
  const hasTime = times.after !== undefined || times.until !== undefined;
  if (hasTime && (cursors[0] !== null || cursors[1] !== null)) {
    return malformed('order id cursors cannot be combined with after or until');
  }
  const [after, before] = cursors.map((id) => (id === null ? undefined : account.ordersById.get(id)));
  if (cursors[0] !== null && after === undefined) return notFound(`order not found for ${cursors[0]}`);
  if (cursors[1] !== null && before === undefined) return notFound(`order not found for ${cursors[1]}`);
  return {
    status,
    limit,
    isAscending: direction === 'asc',
    isNested: query.get('nested') === 'true',
    after: times.after,
    until: times.until,
    afterSequence: after?.sequence,
    beforeSequence: before?.sequence,
  };
}

/** null: present and unreadable. */
function readTime(text: string | null): bigint | undefined | null {
  if (text === null || text === '') return undefined;
  return nanosOf(text) ?? null;
}

function inDirection({ account }: TradingRequest, { isAscending, status }: ListWish): readonly Order[] {
  const orders = status === 'open' ? [...account.open] : [...account.ordersById.values()];
  if (status === 'open') orders.sort((a, b) => a.sequence - b.sequence);
  return isAscending ? orders : orders.reverse();
}

function isWanted(order: Order, wish: ListWish): boolean {
  // Legs of a multi-leg order are never listed on their own; other children are, unless nested.
  if (order.parent !== undefined && (wish.isNested || order.parent.terms.orderClass === 'mleg')) return false;
  if (wish.status !== 'all' && isTerminal(order) !== (wish.status === 'closed')) return false;
  if (wish.afterSequence !== undefined && order.sequence <= wish.afterSequence) return false;
  if (wish.beforeSequence !== undefined && order.sequence >= wish.beforeSequence) return false;
  if (wish.after === undefined && wish.until === undefined) return true;
  const submitted = nanosOf(order.submittedAt) ?? 0n;
  return (wish.after === undefined || submitted > wish.after) && (wish.until === undefined || submitted < wish.until);
}

/** With options the filter means the underlying. */
function hasSymbol({ venue }: TradingRequest, order: Order, symbols: readonly string[]): boolean {
  const all = [order, ...order.legs].map((each) => each.terms.symbol);
  return all.some((symbol) => {
    const underlying = venue.tape.instrument(symbol)?.option?.underlying;
    return symbols.includes(symbol) || (underlying !== undefined && symbols.includes(underlying));
  });
}

function isVisible({ venue }: TradingRequest, order: Order): boolean {
  return order.visibleAt <= venue.clock.now();
}
