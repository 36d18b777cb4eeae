/** /v2/positions: what the account holds, valued at the market, and closing it (sections 3.5 and 3.6). */
import type { Position } from '../venue/account.js';
import { centsOf, divide, magnitude, multiply, ONE, parseNano, textOf, type Nano } from '../venue/decimal.js';
import { renderOrder } from '../venue/order.js';
import { isRefusal, malformed, notFound, refusalBody } from '../venue/refusal.js';
import { json, refused, type Answer } from './answer.js';
import type { TradingRequest } from './request.js';

export function listPositions(request: TradingRequest): Answer {
  return json([...shown(request).values()].map((position) => renderPosition(request, position)));
}

export function getPosition(request: TradingRequest, symbolOrId: string): Answer {
  const position = findPosition(shown(request), symbolOrId);
  if (position === undefined) return refused(notFound('position does not exist'));
  return json(renderPosition(request, position));
}

/** Closes all of it, `qty` shares of it, or `percentage` of it. Not idempotent: twice 50 % is 75 %. */
export function deletePosition(request: TradingRequest, symbolOrId: string): Answer {
  const position = findPosition(request.account.positions, symbolOrId);
  if (position === undefined) return refused(notFound('position does not exist'));
  const size = closingSize(request, position);
  if (size === undefined) return refused(malformed('qty or percentage is invalid'));
  const order = close(request, position, size);
  return isRefusal(order) ? refused(order) : { ...json(renderOrder(order)), created: [order.id] };
}

export function deletePositions(request: TradingRequest): Answer {
  if (request.query.get('cancel_orders') === 'true') {
    for (const order of [...request.account.open]) request.venue.executor.end(order, 'canceled');
  }
  const created: string[] = [];
  const results = [...request.account.positions.values()].map((position) => {
    const order = close(request, position, magnitude(position.qty));
    if (isRefusal(order)) return { symbol: position.symbol, status: order.status, body: refusalBody(order) };
    created.push(order.id);
    return { symbol: position.symbol, status: 200, body: renderOrder(order) };
  });
  return { ...json(results, 207), created };
}

function close(
  { venue, account }: TradingRequest,
  position: Position,
  size: Nano,
): ReturnType<TradingRequest['venue']['submit']> {
  return venue.submit(account, {
    symbol: position.symbol,
    qty: textOf(size),
    side: position.qty > 0n ? 'sell' : 'buy',
    type: 'market',
    time_in_force: position.assetClass === 'crypto' ? 'gtc' : 'day',
    position_intent: position.qty > 0n ? 'sell_to_close' : 'buy_to_close',
  });
}

function closingSize({ query }: TradingRequest, position: Position): Nano | undefined {
  const [qty, percentage] = [query.get('qty'), query.get('percentage')];
  const whole = magnitude(position.qty);
  if (qty !== null && percentage !== null) return undefined;
  if (qty !== null) return parseNano(qty);
  if (percentage === null) return whole;
  const percent = parseNano(percentage);
  if (percent === undefined || percent <= 0n || percent > 100n * ONE) return undefined;
  return multiply(whole, percent) / 100n;
}

function shown({ account, venue }: TradingRequest): ReadonlyMap<string, Position> {
  return account.positionsShown(venue.behaviour.positionsLagMs);
}

/** A pair is `BTCUSD` here, and its orders say `BTC/USD`. */
function findPosition(positions: ReadonlyMap<string, Position>, symbolOrId: string): Position | undefined {
  const plain = symbolOrId.replace('/', '');
  return [...positions.values()].find(
    ({ symbol, assetId }) => symbol.replace('/', '') === plain || assetId === symbolOrId,
  );
}

function renderPosition({ venue, account }: TradingRequest, position: Position): Record<string, unknown> {
  const price = venue.tape.last(position.symbol) ?? position.averageEntry;
  const value = multiply(position.qty, price) * position.multiplier;
  const cost = multiply(position.qty, position.averageEntry) * position.multiplier;
  const gain = value - cost;
  const held = account.heldForOrders(position.symbol);
  const size = magnitude(position.qty) - held;
  return {
    asset_id: position.assetId,
    symbol: position.assetClass === 'crypto' ? position.symbol.replace('/', '') : position.symbol,
    exchange: position.exchange,
    asset_class: position.assetClass,
    asset_marginable: position.marginable,
    qty: textOf(position.qty),
    qty_available: textOf(position.qty < 0n ? -size : size),
    avg_entry_price: textOf(position.averageEntry),
    side: position.qty < 0n ? 'short' : 'long',
    market_value: centsOf(value),
    cost_basis: centsOf(cost),
    unrealized_pl: centsOf(gain),
    unrealized_plpc: textOf(divide(gain, magnitude(cost))),
    unrealized_intraday_pl: centsOf(gain),
    unrealized_intraday_plpc: textOf(divide(gain, magnitude(cost))),
    current_price: textOf(price),
    lastday_price: textOf(position.averageEntry),
    change_today: textOf(divide(price - position.averageEntry, position.averageEntry)),
  };
}

/** Market value of everything held, signed. */
export function marketValue({ venue, account }: Pick<TradingRequest, 'venue' | 'account'>): {
  long: Nano;
  short: Nano;
} {
  const sums = { long: 0n, short: 0n };
  for (const position of account.positions.values()) {
    const price = venue.tape.last(position.symbol) ?? position.averageEntry;
    const value = multiply(position.qty, price) * position.multiplier;
    if (value < 0n) sums.short += value;
    else sums.long += value;
  }
  return sums;
}
