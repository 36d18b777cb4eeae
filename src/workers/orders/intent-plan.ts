/** What a request asks to be placed, before anything is decided: the same shape for new, replaced and closing orders. */
import type { OrderNaming } from '../../kernel/domain/account-request.js';
import type { IntentKind } from '../../kernel/journal/records.js';
import { deriveClientOrderId, keyScope } from './core/client-order-id.js';
import { fingerprint } from './core/fingerprint.js';
import type { BrokerOrder } from './core/order-match.js';
import { uuidV7, type Entropy } from './entropy.js';
import { ownOrderId } from './order-id.js';

export interface IntentPlan {
  readonly kind: IntentKind;
  /** Template of the route: a key belongs to it. */
  readonly route: string;
  /** On the trading host. */
  readonly path: string;
  /** The caller's body, values as they came. */
  readonly body: BrokerOrder;
  /** What the caller asked for: two requests with the same are the same. */
  readonly fingerprint: string;
  readonly idempotencyKey: string | undefined;
  /** `perhaps`: an owner whose journal is not here may have sent it. */
  readonly sentBefore?: OrderNaming['sentBefore'];
  readonly dryRun: boolean;
}

export interface IntentIdentity {
  /** Present when the caller gave an Idempotency-Key. */
  readonly scope: string | undefined;
  readonly clientOrderId: string;
  /** Neither key nor id came from the caller: such a request cannot be repeated safely. */
  readonly isFresh: boolean;
}

/** Equal for two requests that differ in their client order id alone. */
export function likenessOf({ kind, path, body }: Pick<IntentPlan, 'kind' | 'path' | 'body'>): string {
  return fingerprint({ kind, path, request: { ...body, client_order_id: undefined } });
}

export function planFingerprint(kind: IntentKind, route: string, request: unknown): string {
  return fingerprint({ kind, route, request });
}

/** The caller's own id reaches the broker as it came; otherwise the key gives one; otherwise it is a new one. */
export function identify(
  plan: IntentPlan,
  who: { readonly namespace: string; readonly accountId: string; readonly subject: string },
  chance: { readonly wallMs: number; readonly entropy: Entropy },
): IntentIdentity {
  const { route, idempotencyKey: key } = plan;
  const scope = key === undefined ? undefined : keyScope({ subject: who.subject, route, key });
  const own = ownOrderId(plan.body);
  if (own !== undefined) return { scope, clientOrderId: own, isFresh: false };
  const seed = scope ?? uuidV7(chance.wallMs, chance.entropy);
  const clientOrderId = deriveClientOrderId(who.namespace, who.accountId, seed);
  return { scope, clientOrderId, isFresh: scope === undefined };
}
