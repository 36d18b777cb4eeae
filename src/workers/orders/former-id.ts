/**
 * For seven days after the namespace of derived ids has changed, a key may belong to an order that another instance placed
 * under the id of the namespace before: it is looked up before anything is sent (docs/order-protocol.md R3).
 */
import type { OrdersConfig } from '../../kernel/config/gateway-config.js';
import type { AccountSession } from '../accounts/account-session.js';
import { deriveClientOrderId } from './core/client-order-id.js';
import type { IntentIdentity, IntentPlan } from './intent-plan.js';

export type FormerId =
  | { readonly kind: 'none' }
  /** The broker knows an order under it. */
  | { readonly kind: 'found'; readonly clientOrderId: string }
  /** The broker did not say. */
  | { readonly kind: 'unavailable' };

export interface FormerIdFacts {
  readonly session: AccountSession;
  readonly orders: OrdersConfig;
  /** Where one instance has all journals, a key of the time before is found there. */
  readonly isShared: boolean;
  /** Wall milliseconds. */
  readonly now: number;
  readonly deadlineMs: number;
}

const NONE: FormerId = { kind: 'none' };

export async function formerIdOf(plan: IntentPlan, identity: IntentIdentity, facts: FormerIdFacts): Promise<FormerId> {
  const { session, orders, isShared, now, deadlineMs } = facts;
  const former = orders.idNamespaces?.former;
  const { scope } = identity;
  const isDerived = identity.clientOrderId !== plan.body['client_order_id'];
  if (scope === undefined || former === undefined || !isShared || !isDerived || now >= former.until) return NONE;
  if (plan.dryRun || plan.sentBefore === 'never') return NONE;
  const clientOrderId = deriveClientOrderId(former.namespace, session.accountId, scope);
  const path = `/v2/orders:by_client_order_id?client_order_id=${clientOrderId}`;
  const reply = await session.send({ method: 'GET', path, lane: 'lookup', deadlineMs });
  if (reply.kind !== 'answered' || (reply.status !== 200 && reply.status !== 404)) return { kind: 'unavailable' };
  return reply.status === 200 ? { kind: 'found', clientOrderId } : NONE;
}
