/** Replacing an order: a new order at the broker, which answers before it is done. Our own id makes it findable. */
import type { AccountAnswer, AccountRequest, CallContext } from '../../kernel/domain/account-request.js';
import type { AccountDesk } from './account-desk.js';
import { locationOfUnknown, problemAnswer } from './answers.js';
import { readOrder, type BrokerOrder } from './core/order-match.js';
import { planFingerprint } from './intent-plan.js';
import { REPLACE_ROUTE as ROUTE } from './order-id.js';
import { rulesOf } from './risk/risk-gate.js';

type ReplaceRequest = Extract<AccountRequest, { readonly kind: 'replace-order' }>;

const ORIGINAL_DEADLINE_MS = 5_000;

/** @throws GatewayError JOURNAL_BROKEN */
export async function replaceOrder(
  desk: AccountDesk,
  request: ReplaceRequest,
  context: CallContext,
): Promise<AccountAnswer> {
  const { changes, idempotencyKey, sentBefore, dryRun } = request;
  if (desk.known.get(request.orderId) !== undefined) return stillUnknown(desk, request.orderId);
  const orderId = desk.journal.outcome(request.orderId)?.brokerOrderId ?? request.orderId;
  const original = await originalOf(desk, orderId);
  return desk.place(
    {
      kind: 'replace',
      route: ROUTE,
      path: `/v2/orders/${encodeURIComponent(orderId)}`,
      body: changes,
      fingerprint: planFingerprint('replace', ROUTE, { orderId, changes }),
      idempotencyKey,
      ...(sentBefore !== undefined && { sentBefore }),
      dryRun,
    },
    context,
    original,
  );
}

/** Only the risk rules need it, so it is fetched only where there are some. */
async function originalOf(desk: AccountDesk, orderId: string): Promise<BrokerOrder | undefined> {
  const mirrored = desk.session.mirror.orderById(orderId);
  const rules = rulesOf(desk.shared.options().risk, desk.session.accountId);
  if (mirrored !== undefined || (Object.keys(rules).length === 0 && desk.tradingState() === 'ACTIVE')) return mirrored;
  const path = `/v2/orders/${encodeURIComponent(orderId)}`;
  const reply = await desk.session.send({ method: 'GET', path, lane: 'lookup', deadlineMs: ORIGINAL_DEADLINE_MS });
  return reply.kind === 'answered' && reply.status === 200 ? readOrder(reply.body) : undefined;
}

function stillUnknown(desk: AccountDesk, clientOrderId: string): AccountAnswer {
  const detail = 'The outcome of this order is not known yet, so it cannot be replaced.';
  const headers = { location: locationOfUnknown(desk.session.accountId, clientOrderId) };
  return problemAnswer('outcome-unknown-open', detail, { retryAfterS: 1, headers });
}
