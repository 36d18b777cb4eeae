/** The `data` of a `trade_updates` message (docs/broker-wire.md#statuses-and-events), built once per event. */
import { renderStreamOrder, type Order } from './order.js';

export interface TradeEvent {
  readonly accountId: string;
  readonly event: string;
  readonly orderId: string;
  readonly eventId: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface EventStamp {
  readonly at: string;
  readonly eventId: string;
}

export function tradeEvent(
  event: string,
  order: Order,
  stamp: EventStamp,
  extra?: Record<string, unknown>,
): TradeEvent {
  return {
    accountId: order.accountId,
    event,
    orderId: order.id,
    eventId: stamp.eventId,
    data: {
      at: stamp.at,
      event_id: stamp.eventId,
      event,
      timestamp: stamp.at,
      order: renderStreamOrder(order),
      ...extra,
    },
  };
}
