/**
 * The first gate of an order: is the body an order at all? Answers a draft whose text is the client's own, or the
 * broker's 422. It knows no market and no account (docs/broker-wire.md#orders).
 */
import { parseNano } from './decimal.js';
import type { OrderClass } from './order.js';
import { isRefusal, malformed, unprocessable, type Refusal } from './refusal.js';

export interface DraftLeg {
  readonly symbol: string;
  readonly ratioQty: string;
  readonly side: string;
  readonly positionIntent: string;
}

export interface OrderDraft {
  readonly symbol: string;
  readonly qty: string | null;
  readonly notional: string | null;
  readonly side: string;
  readonly type: string;
  readonly timeInForce: string;
  readonly limitPrice: string | null;
  readonly stopPrice: string | null;
  readonly trailPrice: string | null;
  readonly trailPercent: string | null;
  readonly extendedHours: boolean;
  readonly orderClass: OrderClass;
  readonly positionIntent: string | null;
  readonly clientOrderId: string | undefined;
  readonly takeProfit: { readonly limitPrice: string } | undefined;
  readonly stopLoss: { readonly stopPrice: string; readonly limitPrice: string | null } | undefined;
  readonly legs: readonly DraftLeg[];
}

type Body = Readonly<Record<string, unknown>>;

const TYPES = new Set(['market', 'limit', 'stop', 'stop_limit', 'trailing_stop']);
const TIMES = new Set(['day', 'gtc', 'opg', 'cls', 'ioc', 'fok']);
const CLASSES = new Set(['', 'simple', 'bracket', 'oco', 'oto', 'mleg']);
const INTENTS = new Set(['buy_to_open', 'buy_to_close', 'sell_to_open', 'sell_to_close']);

export function parseDraft(body: unknown): OrderDraft | Refusal {
  if (!isBody(body)) return malformed('request body format is invalid');
  const common = commonRefusal(body);
  if (common !== undefined) return common;
  const draft = readDraft(body);
  if (isRefusal(draft)) return draft;
  if (draft.orderClass === 'mleg') return multilegRefusal(body, draft) ?? draft;
  return simpleRefusal(draft) ?? advancedRefusal(draft) ?? draft;
}

function commonRefusal(body: Body): Refusal | undefined {
  const orderClass = body['order_class'] ?? '';
  if (typeof orderClass !== 'string' || !CLASSES.has(orderClass)) return malformed('invalid order_class');
  const isMultileg = orderClass === 'mleg';
  if (isMultileg && present(body['symbol'])) return malformed('symbol is not allowed for mleg order');
  if (!isMultileg && !isText(body['symbol'])) return malformed('symbol is required');
  if (!isMultileg && !present(body['side'])) return malformed('side is required');
  if (present(body['side']) && body['side'] !== 'buy' && body['side'] !== 'sell') return malformed('invalid side');
  if (!present(body['type'])) return malformed('type is required');
  if (!TYPES.has(body['type'] as string)) return malformed('invalid order type');
  if (!present(body['time_in_force'])) return malformed('time_in_force is required');
  if (!TIMES.has(body['time_in_force'] as string)) return malformed('invalid time_in_force');
  const id = body['client_order_id'];
  if (present(id) && typeof id !== 'string') return malformed('client_order_id must be a string');
  if (typeof id === 'string' && id.length > 128)
    return malformed('client_order_id must be no more than 128 characters');
  const intent = body['position_intent'];
  if (present(intent) && !INTENTS.has(intent as string)) return malformed('invalid position_intent');
  const extended = body['extended_hours'];
  if (present(extended) && typeof extended !== 'boolean') return malformed('extended_hours must be a boolean');
  return quantityRefusal(body);
}

function quantityRefusal(body: Body): Refusal | undefined {
  const { qty, notional } = body;
  if (present(qty) && present(notional)) return malformed('only one of qty or notional is accepted');
  if (!present(qty) && !present(notional)) return malformed('qty or notional is required');
  const name = present(qty) ? 'qty' : 'notional';
  const size = parseNano(body[name]);
  if (size === undefined) return malformed(`invalid ${name}`);
  if (size <= 0n) return malformed(`${name} must be > 0`);
  for (const price of ['limit_price', 'stop_price', 'trail_price', 'trail_percent']) {
    if (present(body[price]) && parseNano(body[price]) === undefined) return malformed(`invalid ${price}`);
  }
  return undefined;
}

function readDraft(body: Body): OrderDraft | Refusal {
  const takeProfit = readTakeProfit(body['take_profit']);
  const stopLoss = readStopLoss(body['stop_loss']);
  if (takeProfit !== undefined && isRefusal(takeProfit)) return takeProfit;
  if (stopLoss !== undefined && isRefusal(stopLoss)) return stopLoss;
  const legs = readLegs(body['legs']);
  if ('kind' in legs) return legs;
  return {
    symbol: isText(body['symbol']) ? body['symbol'] : '',
    qty: textOrNull(body['qty']),
    notional: textOrNull(body['notional']),
    side: isText(body['side']) ? body['side'] : '',
    type: body['type'] as string,
    timeInForce: body['time_in_force'] as string,
    limitPrice: textOrNull(body['limit_price']),
    stopPrice: textOrNull(body['stop_price']),
    trailPrice: textOrNull(body['trail_price']),
    trailPercent: textOrNull(body['trail_percent']),
    extendedHours: body['extended_hours'] === true,
    orderClass: (body['order_class'] ?? '') as OrderClass,
    positionIntent: isText(body['position_intent']) ? body['position_intent'] : null,
    clientOrderId: isText(body['client_order_id']) ? body['client_order_id'] : undefined,
    takeProfit,
    stopLoss,
    legs,
  };
}

/** Which price goes with which type. */
function simpleRefusal(draft: OrderDraft): Refusal | undefined {
  const { type, stopPrice } = draft;
  // The limit of an oco may stand in its take_profit alone.
  const profit = draft.orderClass === 'oco' ? (draft.takeProfit?.limitPrice ?? null) : null;
  const limitPrice = draft.limitPrice ?? profit;
  if ((type === 'limit' || type === 'stop_limit') && limitPrice === null)
    return malformed(`${type} orders require a limit price`);
  if ((type === 'stop' || type === 'stop_limit') && stopPrice === null)
    return malformed(`${type} orders require a stop price`);
  if (type === 'market' && (limitPrice !== null || stopPrice !== null))
    return malformed('market orders require no stop or limit price');
  if (type === 'trailing_stop' && (draft.trailPrice === null) === (draft.trailPercent === null)) {
    return malformed('trailing stop orders must specify one of trail_price or trail_percent');
  }
  for (const price of [limitPrice, stopPrice, draft.trailPrice, draft.trailPercent]) {
    if (price !== null && (parseNano(price) ?? 0n) <= 0n) return malformed('price must be > 0');
  }
  if (draft.extendedHours && type !== 'limit') return unprocessable('extended hours order must be DAY limit orders');
  if (draft.extendedHours && !['day', 'gtc'].includes(draft.timeInForce))
    return unprocessable('extended hours order must be DAY limit orders');
  if (type.includes('stop') && !['day', 'gtc'].includes(draft.timeInForce))
    return unprocessable(`invalid time_in_force for ${type} orders`);
  return undefined;
}

/** bracket, oco, oto (docs/broker-wire.md#order-classes). */
function advancedRefusal(draft: OrderDraft): Refusal | undefined {
  const { orderClass, takeProfit, stopLoss, type } = draft;
  if (orderClass === '' || orderClass === 'simple') return undefined;
  if (orderClass !== 'oto') {
    if (takeProfit === undefined) return malformed(`${orderClass} orders require take_profit.limit_price`);
    if (stopLoss === undefined) return malformed(`${orderClass} orders require stop_loss.stop_price`);
  } else if ((takeProfit === undefined) === (stopLoss === undefined)) {
    return malformed('oto orders require one of take_profit or stop_loss');
  }
  if (draft.notional !== null) return unprocessable('fractional orders must be simple orders');
  if (draft.extendedHours) return unprocessable('extended hours order must be DAY limit orders');
  if (!['day', 'gtc'].includes(draft.timeInForce))
    return unprocessable(`invalid time_in_force for ${orderClass} orders`);
  if (orderClass === 'oco' && type !== 'limit') return unprocessable('oco orders must be limit orders');
  if (orderClass !== 'oco' && type !== 'limit' && type !== 'market')
    return unprocessable(`${orderClass} orders must be market or limit orders`);
  return priceRelationRefusal(draft);
}

function priceRelationRefusal({ takeProfit, stopLoss, side, orderClass }: OrderDraft): Refusal | undefined {
  if (takeProfit === undefined || stopLoss === undefined) return undefined;
  const profit = parseNano(takeProfit.limitPrice) ?? 0n;
  const stop = parseNano(stopLoss.stopPrice) ?? 0n;
  // The exits of a long position: profit above, stop below. An oco is itself the exit, so its own side decides.
  const exitsLong = orderClass === 'oco' ? side === 'sell' : side === 'buy';
  const isRight = exitsLong ? profit > stop : profit < stop;
  const relation = exitsLong ? '>' : '<';
  return isRight ? undefined : unprocessable(`take_profit.limit_price must be ${relation} stop_loss.stop_price`);
}

/** Multi-leg options (docs/broker-wire.md#multi-leg-options). */
function multilegRefusal(body: Body, draft: OrderDraft): Refusal | undefined {
  if (!Array.isArray(body['legs']) || draft.legs.length === 0) return malformed('legs are required for mleg order');
  if (draft.legs.length > 4) return malformed('mleg order supports at most 4 legs');
  if (draft.qty === null) return malformed('qty is required');
  if (draft.type === 'limit' && draft.limitPrice === null)
    return unprocessable('limit price is required for limit orders');
  if (draft.type === 'market' && draft.limitPrice !== null)
    return unprocessable('limit price is only valid for limit orders');
  if (draft.type !== 'limit' && draft.type !== 'market') return unprocessable('invalid order type for options trading');
  if (draft.timeInForce !== 'day') return unprocessable('invalid time in force');
  for (const [index, leg] of draft.legs.entries()) {
    if (leg.symbol === '') return malformed(`leg.${index} symbol is required`);
    if (leg.side !== 'buy' && leg.side !== 'sell') return malformed(`leg.${index} side is invalid`);
    if (!INTENTS.has(leg.positionIntent)) return unprocessable(`leg.${index} position intent is required`);
    if (!/^[1-9]\d{0,5}$/.test(leg.ratioQty)) return malformed(`leg.${index} ratio_qty must be a positive integer`);
  }
  const divisor = draft.legs.map((leg) => Number(leg.ratioQty)).reduce(greatestCommonDivisor);
  return divisor === 1 ? undefined : unprocessable('leg ratio quantities must be relatively prime');
}

function readTakeProfit(value: unknown): { limitPrice: string } | Refusal | undefined {
  if (!isBody(value)) return undefined;
  const limitPrice = textOrNull(value['limit_price']);
  if (limitPrice === null) return undefined;
  return isPrice(limitPrice) ? { limitPrice } : malformed('invalid take_profit.limit_price');
}

function readStopLoss(value: unknown): { stopPrice: string; limitPrice: string | null } | Refusal | undefined {
  if (!isBody(value)) return undefined;
  const stopPrice = textOrNull(value['stop_price']);
  const limitPrice = textOrNull(value['limit_price']);
  if (stopPrice === null) return undefined;
  if (!isPrice(stopPrice)) return malformed('invalid stop_loss.stop_price');
  if (limitPrice !== null && !isPrice(limitPrice)) return malformed('invalid stop_loss.limit_price');
  return { stopPrice, limitPrice };
}

function readLegs(value: unknown): readonly DraftLeg[] | Refusal {
  if (!Array.isArray(value)) return [];
  const legs: DraftLeg[] = [];
  for (const leg of value as readonly unknown[]) {
    if (!isBody(leg)) return malformed('legs must be objects');
    legs.push({
      symbol: isText(leg['symbol']) ? leg['symbol'] : '',
      ratioQty: textOrNull(leg['ratio_qty']) ?? '1',
      side: isText(leg['side']) ? leg['side'] : '',
      positionIntent: isText(leg['position_intent']) ? leg['position_intent'] : '',
    });
  }
  return legs;
}

function isBody(value: unknown): value is Body {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function present(value: unknown): boolean {
  return value !== undefined && value !== null && value !== '';
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isPrice(text: string): boolean {
  return (parseNano(text) ?? 0n) > 0n;
}

/** The client's own characters: a string stays as it is, a number is written as JSON would. */
function textOrNull(value: unknown): string | null {
  if (typeof value === 'string' && value !== '') return value;
  return typeof value === 'number' ? String(value) : null;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
