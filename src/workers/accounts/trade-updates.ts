/** Trade updates: read from the broker's frames, or put together by gap repair in the same words. */
import { rawMembers } from '../../kernel/runtime/raw-json.js';
import type { TradeUpdate } from './account-session.js';
import { mirroredOf, textOf, type BrokerObject, type Mirrored } from './mirrored.js';
import type { OrderFill } from './published-fills.js';
import { changeKey } from './seen-updates.js';

export interface HeardUpdate {
  readonly update: TradeUpdate;
  readonly order: Mirrored;
  /** Under which a change passes once; of a fill its executions decide. */
  readonly key: string;
  /** One an order or leg order that it filled; none where it is no fill. */
  readonly fills: readonly OrderFill[];
}

/** undefined for a frame that tells of no order. */
export function parseUpdate(frame: string, receivedAt: string): HeardUpdate | undefined {
  const envelope = mirroredOf(frame);
  if (envelope === undefined) return undefined;
  const data = rawMembers(frame).find(([name]) => name === 'data')?.[1];
  const parsed = data === undefined ? undefined : mirroredOf(data);
  if (parsed === undefined) return undefined;
  const orderText = rawMembers(parsed.text).find(([name]) => name === 'order')?.[1];
  const order = orderText === undefined ? undefined : mirroredOf(orderText);
  if (order === undefined) return undefined;
  const event = textOf(parsed.value, 'event');
  const timestamp = textOf(parsed.value, 'timestamp') || textOf(parsed.value, 'at') || receivedAt;
  const executionId = textOf(parsed.value, 'execution_id');
  return {
    order,
    key: keyOf(event, parsed.value, order),
    fills: isFill(event) ? fillsOf(parsed.value, order.value, timestamp) : [],
    update: {
      ...{ event, timestamp, data: parsed.text, order: order.value, reconciled: false },
      ...(executionId !== '' && { executionId }),
    },
  };
}

function keyOf(event: string, data: BrokerObject, order: Mirrored): string {
  return changeKey(
    textOf(order.value, 'id'),
    event,
    textOf(data, 'event_id') || textOf(data, 'timestamp') || textOf(order.value, 'updated_at'),
  );
}

export function isFill(event: string): boolean {
  return event === 'fill' || event === 'partial_fill';
}

/** What a fill of the stream, or one that was published before, says of the orders that it filled. */
export function fillsOf(data: BrokerObject, order: BrokerObject, at: string): readonly OrderFill[] {
  const legs = Array.isArray(data['legs']) ? (data['legs'] as readonly unknown[]).filter(isObject) : [];
  const isMultiLeg = legs.some((leg) => textOf(leg, 'execution_id') !== '' || textOf(leg, 'order_id') !== '');
  const named = isMultiLeg ? legs : [data];
  return named.map((one) => {
    const executionId = textOf(one, 'execution_id');
    const cumQty = isMultiLeg ? '' : textOf(data, 'cum_qty') || textOf(order, 'filled_qty');
    return {
      orderId: isMultiLeg ? textOf(one, 'order_id') : textOf(order, 'id'),
      ...(executionId !== '' && { executionId }),
      ...(cumQty !== '' && { cumQty }),
      ...{ qty: decimalText(one['qty']), price: decimalText(one['price']), at: textOf(one, 'timestamp') || at },
    };
  });
}

function isObject(value: unknown): value is BrokerObject {
  return typeof value === 'object' && value !== null;
}

function decimalText(value: unknown): string {
  return typeof value === 'number' || typeof value === 'string' ? String(value) : '';
}

/** Of a FILL activity (docs/broker-wire.md#account-activities). */
export function fillOfActivity(activity: BrokerObject): OrderFill {
  const cumQty = decimalText(activity['cum_qty']);
  return {
    orderId: textOf(activity, 'order_id'),
    ...(cumQty !== '' && { cumQty }),
    ...{ qty: decimalText(activity['qty']), price: decimalText(activity['price']) },
    at: textOf(activity, 'transaction_time'),
  };
}

/** A fill that was missed, as the update that it would have been. The order is as it stands now. */
export function updateOfFill(fill: OrderFill, order: Mirrored): HeardUpdate {
  const [filledQty, isDone] = [textOf(order.value, 'filled_qty'), textOf(order.value, 'status') === 'filled'];
  const event = isDone && (fill.cumQty === undefined || fill.cumQty === filledQty) ? 'fill' : 'partial_fill';
  const { cumQty, price, qty, at: timestamp } = fill;
  const facts = { event, price, qty, timestamp, ...(cumQty !== undefined && { cum_qty: cumQty }) };
  return {
    order,
    key: '',
    fills: [fill],
    update: { event, timestamp, order: order.value, reconciled: true, data: withOrder(facts, order) },
  };
}

/** Alpaca's event word for a status that was reached unheard (docs/broker-wire.md#statuses-and-events). */
export function updateOfStatus(order: Mirrored): HeardUpdate {
  const event = textOf(order.value, 'status');
  const timestamp = textOf(order.value, 'updated_at');
  return {
    order,
    key: changeKey(textOf(order.value, 'id'), event, 'reconciled'),
    fills: [],
    update: { event, timestamp, order: order.value, reconciled: true, data: withOrder({ event, timestamp }, order) },
  };
}

/** The broker does not know the order any more: it is published as it was last seen. */
export function updateOfGone(order: Mirrored): HeardUpdate {
  const [event, timestamp] = ['gone', textOf(order.value, 'updated_at')];
  return {
    order,
    key: changeKey(textOf(order.value, 'id'), event, 'reconciled'),
    fills: [],
    update: { event, timestamp, order: order.value, reconciled: true, data: withOrder({ event, timestamp }, order) },
  };
}

function withOrder(facts: BrokerObject, order: Mirrored): string {
  return `${JSON.stringify(facts).slice(0, -1)},"order":${order.text}}`;
}
