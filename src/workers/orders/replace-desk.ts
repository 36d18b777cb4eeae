/** Replacing an order: a new order at the broker, which answers before it is done. Our own id makes it findable. */
import type { AccountAnswer, AccountRequest, CallContext } from '../../kernel/domain/account-request.js';
import type { AccountDesk } from './account-desk.js';
import { locationOfUnknown, problemAnswer } from './answers.js';
import type { BrokerOrder } from './core/order-match.js';
import { planFingerprint, type IntentPlan } from './intent-plan.js';
import { REPLACE_ROUTE } from './order-id.js';
import { brokerOrderIdOf, liveOf, readOrderNow, type Found } from './order-target.js';

type ReplaceRequest = Extract<AccountRequest, { readonly kind: 'replace-order' }>;

/** @throws GatewayError JOURNAL_BROKEN */
export async function replaceOrder(
  desk: AccountDesk,
  request: ReplaceRequest,
  context: CallContext,
): Promise<AccountAnswer> {
  const { changes, idempotencyKey, sentBefore, dryRun } = request;
  const live = liveOf(desk, request);
  if (live !== undefined) return stillUnknown(desk, live.clientOrderId);
  const found = await brokerOrderIdOf(desk, request);
  if (found.kind === 'refused') return found.answer;
  const orderId = found.value;
  const plan: IntentPlan = {
    kind: 'replace',
    route: REPLACE_ROUTE,
    path: `/v2/orders/${encodeURIComponent(orderId)}`,
    body: changes,
    fingerprint: planFingerprint('replace', REPLACE_ROUTE, { orderId, changes }),
    idempotencyKey,
    ...(sentBefore !== undefined && { sentBefore }),
    dryRun,
  };
  const replayed = desk.replay(plan, context);
  if (replayed !== undefined) return replayed;
  const original = await originalOf(desk, orderId);
  return original.kind === 'refused' ? original.answer : desk.place(plan, context, { original: original.value });
}

/** What it replaces decides what it becomes: without it no rule could be judged. */
async function originalOf(desk: AccountDesk, orderId: string): Promise<Found<BrokerOrder>> {
  const { mirror } = desk.session;
  const mirrored = mirror.inSync ? mirror.orderById(orderId) : undefined;
  return mirrored === undefined ? readOrderNow(desk, orderId) : { kind: 'found', value: mirrored };
}

function stillUnknown(desk: AccountDesk, clientOrderId: string): AccountAnswer {
  const detail = 'The outcome of this order is not known yet, so it cannot be replaced.';
  const headers = { location: locationOfUnknown(desk.session.accountId, clientOrderId) };
  return problemAnswer('outcome-unknown-open', detail, { retryAfterS: 1, headers });
}
