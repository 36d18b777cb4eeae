/** Trade updates: read from the broker's frames, or put together by gap repair in the same words. */
import { rawMembers } from '../../kernel/runtime/raw-json.js';
import type { TradeUpdate } from './account-session.js';
import { mirroredOf, textOf, type BrokerObject, type Mirrored } from './mirrored.js';
import { changeKey, fillKey } from './seen-updates.js';

export interface HeardUpdate {
  readonly update: TradeUpdate;
  readonly order: Mirrored;
  /** Under which it passes once. */
  readonly key: string;
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
    update: {
      ...{ event, timestamp, data: parsed.text, order: order.value, reconciled: false },
      ...(executionId !== '' && { executionId }),
    },
  };
}

function keyOf(event: string, data: BrokerObject, order: Mirrored): string {
  const orderId = textOf(order.value, 'id');
  if (isFill(event)) return fillKey(orderId, textOf(order.value, 'filled_qty') || textOf(data, 'execution_id'));
  return changeKey(
    orderId,
    event,
    textOf(data, 'event_id') || textOf(data, 'timestamp') || textOf(order.value, 'updated_at'),
  );
}

export function isFill(event: string): boolean {
  return event === 'fill' || event === 'partial_fill';
}

/** Of a FILL activity: its own member, else the second half of its id; empty when it tells neither. */
export function executionOf(activity: BrokerObject): string {
  return textOf(activity, 'execution_id') || (/::(.+)$/.exec(textOf(activity, 'id'))?.[1] ?? '');
}

/**
 * A FILL activity (docs/broker-wire.md#account-activities) as the update that was missed. The order is as it stands
 * now.
 */
export function updateOfFill(activity: BrokerObject, order: Mirrored): HeardUpdate {
  const orderId = textOf(order.value, 'id');
  const event = textOf(activity, 'type') === 'partial_fill' ? 'partial_fill' : 'fill';
  const executionId = executionOf(activity);
  const timestamp = textOf(activity, 'transaction_time');
  const facts = {
    event,
    ...(executionId !== '' && { execution_id: executionId }),
    price: activity['price'],
    qty: activity['qty'],
    timestamp,
  };
  return {
    order,
    key: fillKey(orderId, textOf(activity, 'cum_qty') || executionId),
    update: {
      ...{ event, timestamp, order: order.value, reconciled: true, data: withOrder(facts, order) },
      ...(executionId !== '' && { executionId }),
    },
  };
}

/** Alpaca's event word for a status that was reached unheard (docs/broker-wire.md#statuses-and-events). */
export function updateOfStatus(order: Mirrored): HeardUpdate {
  const event = textOf(order.value, 'status');
  const timestamp = textOf(order.value, 'updated_at');
  return {
    order,
    key: changeKey(textOf(order.value, 'id'), event, 'reconciled'),
    update: { event, timestamp, order: order.value, reconciled: true, data: withOrder({ event, timestamp }, order) },
  };
}

function withOrder(facts: BrokerObject, order: Mirrored): string {
  return `${JSON.stringify(facts).slice(0, -1)},"order":${order.text}}`;
}
