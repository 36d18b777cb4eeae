/**
 * The id under which the broker will know an order. It follows from what is decided where the request is read, so that
 * whoever handles the request later (another worker, another instance, a successor) names the same order.
 */
import type { AccountRequest } from '../../kernel/domain/account-request.js';
import type { OrdersConfig } from '../../kernel/config/gateway-config.js';
import { OPEN_NAMESPACE } from '../../kernel/secrets/order-id-namespace.js';
import { deriveClientOrderId, keyScope } from './core/client-order-id.js';

/** Part of every derived id: the same in all instances that may own the same accounts. */
export function namespaceIn({ idNamespaces }: Pick<OrdersConfig, 'idNamespaces'>): string {
  return idNamespaces?.current ?? OPEN_NAMESPACE;
}

export type PlacingRequest = Extract<
  AccountRequest,
  { readonly kind: 'submit-order' | 'replace-order' | 'close-position' }
>;

export function isPlacing(request: AccountRequest): request is PlacingRequest {
  return request.kind === 'submit-order' || request.kind === 'replace-order' || request.kind === 'close-position';
}

export const REPLACE_ROUTE = 'PATCH orders/{order_id}';
export const CLOSE_ROUTE = 'DELETE positions/{symbol}';

/** A key belongs to its route. */
export function submitRoute({
  assetClass,
}: Pick<Extract<PlacingRequest, { kind: 'submit-order' }>, 'assetClass'>): string {
  return `POST orders/${assetClass}`;
}

/** The caller's own id, at its own place in the body: a member of that name deeper inside is something else. */
export function ownOrderId(body: Readonly<Record<string, unknown>>): string | undefined {
  const own = body['client_order_id'];
  return typeof own === 'string' && own !== '' ? own : undefined;
}

/** A request that names its order can be repeated at another owner without acting twice. */
export function namesItsOrder(request: PlacingRequest): boolean {
  return request.idempotencyKey !== undefined || ownOrderId(bodyOf(request)) !== undefined;
}

/** Undefined when the request names neither key nor id: nobody but its owner knows the id then. */
export function orderIdOf(request: PlacingRequest, subject: string, namespace: string): string | undefined {
  const own = ownOrderId(bodyOf(request));
  if (own !== undefined) return own;
  const scope = scopeOf(request, subject);
  return scope === undefined ? undefined : deriveClientOrderId(namespace, request.accountId, scope);
}

/** Of the caller's key; undefined when it gave none. */
export function scopeOf(request: PlacingRequest, subject: string): string | undefined {
  const { idempotencyKey: key } = request;
  return key === undefined ? undefined : keyScope({ subject, route: routeOf(request), key });
}

export function bodyOf(request: PlacingRequest): Readonly<Record<string, unknown>> {
  if (request.kind === 'submit-order') return request.order;
  return request.kind === 'replace-order' ? request.changes : {};
}

function routeOf(request: PlacingRequest): string {
  if (request.kind === 'submit-order') return submitRoute(request);
  return request.kind === 'replace-order' ? REPLACE_ROUTE : CLOSE_ROUTE;
}
