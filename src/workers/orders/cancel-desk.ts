/** Cancels of one account: audited first, queued while the order's outcome is unknown, honest for every single order. */
import type { AccountAnswer, CallContext, OrderTarget } from '../../kernel/domain/account-request.js';
import type { AccountDesk } from './account-desk.js';
import { jsonAnswer, locationOfUnknown, notSent, problemAnswer } from './answers.js';
import { cancelAllOrders, cancelOrder, type CancelPorts } from './cancel-order.js';
import { readJson } from './core/order-match.js';
import type { LiveIntent } from './live-intent.js';
import { brokerOrderIdOf, liveOf } from './order-target.js';

const CANCEL_DEADLINE_MS = 8_000;
const KNOWN_CANCEL_ATTEMPTS = 5;
const KNOWN_CANCEL_RETRY_MS = 2_000;

export async function cancelOne(
  desk: AccountDesk,
  request: OrderTarget & { readonly dryRun: boolean },
  context: CallContext,
): Promise<AccountAnswer> {
  const live = liveOf(desk, request);
  if (live !== undefined) return cancelUnknown(desk, live, request, context);
  const found = await brokerOrderIdOf(desk, request);
  if (found.kind === 'refused') return found.answer;
  const orderId = found.value;
  if (request.dryRun) return dryRun(`/v2/orders/${encodeURIComponent(orderId)}`);
  if (!(await audited(desk, context, { order_id: orderId })))
    return notSent('audit', 'The cancel could not be audited.');
  const answer = await cancelOrder(orderId, portsOf(desk, context));
  await audited(desk, context, { order_id: orderId, result: resultOf(answer) });
  return answer;
}

/** Queued until the order is known; never answered as if there were nothing to cancel. */
async function cancelUnknown(
  desk: AccountDesk,
  live: LiveIntent,
  request: { readonly dryRun: boolean },
  context: CallContext,
): Promise<AccountAnswer> {
  const { clientOrderId } = live;
  if (request.dryRun)
    return dryRun(`/v2/orders:by_client_order_id?client_order_id=${encodeURIComponent(clientOrderId)}`);
  if (!(await audited(desk, context, { client_order_id: clientOrderId })))
    return notSent('audit', 'The cancel could not be audited.');
  const brokerOrderId = await queueCancel(desk, live);
  return brokerOrderId === undefined ? queuedAnswer(desk, live) : cancelOrder(brokerOrderId, portsOf(desk, context));
}

export async function cancelAll(
  desk: AccountDesk,
  request: { readonly dryRun: boolean },
  context: CallContext,
): Promise<AccountAnswer> {
  if (request.dryRun) return dryRun('/v2/orders');
  if (!(await audited(desk, context, { order_id: '*' }))) return notSent('audit', 'The cancel could not be audited.');
  const lockDelayMs = desk.shared.ports.fence.lockDelayMs?.(desk.session.accountId) ?? 0;
  if (lockDelayMs > 0) return laterAnswer(lockDelayMs);
  const open = desk.known.all();
  const queued: LiveIntent[] = [];
  for (const live of open) if ((await queueCancel(desk, live)) === undefined) queued.push(live);
  const answer = await cancelAllOrders(portsOf(desk, context));
  await audited(desk, context, { order_id: '*', result: resultOf(answer) });
  return queued.length === 0 ? answer : withQueued(answer, queued);
}

/** Tries for a while: the order is known, and somebody asked for its end before it was. */
export async function cancelWhenKnown(desk: AccountDesk, live: LiveIntent, brokerOrderId: string): Promise<void> {
  const { clock, log } = desk.shared.ports;
  const context = { requestId: live.intent.requestId, subject: 'system', budgetMs: CANCEL_DEADLINE_MS };
  for (let attempt = 1; attempt <= KNOWN_CANCEL_ATTEMPTS && !desk.stopped.aborted; attempt += 1) {
    const facts = { order_id: brokerOrderId, client_order_id: live.clientOrderId };
    if (await audited(desk, context, facts)) {
      const answer = await cancelOrder(brokerOrderId, portsOf(desk, context));
      await audited(desk, context, { ...facts, result: resultOf(answer) });
      const isOver = answer.kind === 'answer' ? answer.status === 204 : answer.problem.code !== 'order-not-sent';
      if (isOver) return;
    }
    await clock.sleep(KNOWN_CANCEL_RETRY_MS * attempt, desk.stopped);
  }
  log.error({ accountId: desk.session.accountId, clientOrderId: live.clientOrderId }, 'queued cancel not carried out');
}

/** The broker's id if the order became known meanwhile: then there is nothing to queue. */
async function queueCancel(desk: AccountDesk, live: LiveIntent): Promise<string | undefined> {
  live.intent = { ...live.intent, cancelRequested: true };
  await desk.journal.amendIntent(live.intent);
  return desk.journal.outcome(live.clientOrderId)?.brokerOrderId;
}

function queuedAnswer(desk: AccountDesk, live: LiveIntent): AccountAnswer {
  const { accountId } = desk.session;
  const location = locationOfUnknown(accountId, live.clientOrderId);
  const body = { status: 'unknown', account_id: accountId, client_order_id: live.clientOrderId, cancel: 'queued' };
  return jsonAnswer(202, body, { location, 'retry-after': '1' });
}

/** A cancel of everything would miss what the last owner wrote and the broker has not seen yet. */
function laterAnswer(lockDelayMs: number): AccountAnswer {
  const detail = 'The account has just been taken over: an order of its last owner may still arrive.';
  return problemAnswer('outcome-unknown-open', detail, { retryAfterS: Math.ceil(lockDelayMs / 1_000) });
}

/** The broker's list says nothing of orders that it may still be about to show. */
function withQueued(answer: AccountAnswer, queued: readonly LiveIntent[]): AccountAnswer {
  if (answer.kind !== 'answer' || answer.status !== 207) return answer;
  const items = readJson(answer.body);
  if (!Array.isArray(items)) return answer;
  const more = queued.map(({ clientOrderId }) => ({
    id: null,
    client_order_id: clientOrderId,
    status: 202,
    body: { status: 'unknown', cancel: 'queued' },
  }));
  return jsonAnswer(207, [...(items as unknown[]), ...more]);
}

function portsOf(desk: AccountDesk, context: CallContext): CancelPorts {
  const { traceparent, budgetMs } = context;
  const deadlineMs = Math.max(1, Math.min(CANCEL_DEADLINE_MS, budgetMs));
  const { session } = desk;
  return { session, clock: desk.shared.ports.clock, deadlineMs, traceparent, learned: (order) => desk.learned(order) };
}

async function audited(
  desk: AccountDesk,
  context: CallContext,
  facts: Readonly<Record<string, unknown>>,
): Promise<boolean> {
  const { audit, log } = desk.shared.ports;
  const { accountId } = desk.session;
  const { subject, requestId } = context;
  try {
    await audit.append({ kind: 'cancel', accountId, subject, requestId, facts });
    return true;
  } catch (cause) {
    log.error({ accountId, cause }, 'cancel not audited');
    return false;
  }
}

function resultOf(answer: AccountAnswer): string | number {
  return answer.kind === 'answer' ? answer.status : answer.problem.code;
}

function dryRun(path: string): AccountAnswer {
  return jsonAnswer(200, { dry_run: true, method: 'DELETE', path });
}
