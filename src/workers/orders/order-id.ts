/** The id under which the broker will know an order: for whoever must name it when its owner cannot be asked. */
import type { AccountRequest } from '../../kernel/domain/account-request.js';
import { deriveClientOrderId, keyScope } from './core/client-order-id.js';

/** Part of every derived id: the same in all instances that may own the same accounts. */
export const ORDER_NAMESPACE = 'opitios';

type SubmitRequest = Extract<AccountRequest, { readonly kind: 'submit-order' }>;

/** A key belongs to its route. */
export function submitRoute({ assetClass }: Pick<SubmitRequest, 'assetClass'>): string {
  return `POST orders/${assetClass}`;
}

/** Undefined when the request names neither key nor id: nobody but its owner knows the id then. */
export function submittedOrderId(request: SubmitRequest, subject: string): string | undefined {
  const own = request.order['client_order_id'];
  if (typeof own === 'string' && own !== '') return own;
  const { accountId, idempotencyKey: key } = request;
  if (key === undefined) return undefined;
  return deriveClientOrderId(ORDER_NAMESPACE, accountId, keyScope({ subject, route: submitRoute(request), key }));
}
