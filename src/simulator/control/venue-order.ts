import { renderOrder, type Order } from '../venue/order.js';

/** An order as REST shows it, plus what only the venue knows. */
export type VenueOrder = Record<string, unknown> & {
  readonly account_id: string;
  readonly id: string;
  readonly client_order_id: string;
  readonly status: string;
};

export function venueOrderOf(order: Order): VenueOrder {
  return { ...renderOrder(order, false), account_id: order.accountId } as VenueOrder;
}
