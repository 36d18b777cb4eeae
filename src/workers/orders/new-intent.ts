/** A plan that was admitted, as the record that is made durable before its first byte leaves. */
import type { AccountAnswer, CallContext } from '../../kernel/domain/account-request.js';
import type { FirstByteMark } from '../../kernel/domain/first-byte.js';
import type { AccountJournal } from '../../kernel/journal/account-journal.js';
import type { IntentRecord } from '../../kernel/journal/records.js';
import type { OrdersConfig } from '../../kernel/config/gateway-config.js';
import { jsonAnswer } from './answers.js';
import { maxAgeMsOf } from './core/schedule.js';
import type { IntentIdentity, IntentPlan } from './intent-plan.js';

export interface IntentFacts {
  readonly identity: Pick<IntentIdentity, 'scope' | 'clientOrderId'>;
  readonly journal: Pick<AccountJournal, 'accountId' | 'epoch'>;
  readonly orders: OrdersConfig;
  /** Wall time, milliseconds. */
  readonly now: number;
  readonly firstByte: FirstByteMark | undefined;
}

export function newIntent(plan: IntentPlan, context: CallContext, facts: IntentFacts): IntentRecord {
  const { identity, journal, orders, now, firstByte } = facts;
  const body = { ...plan.body, client_order_id: identity.clientOrderId };
  return {
    kind: plan.kind,
    accountId: journal.accountId,
    epoch: journal.epoch,
    clientOrderId: identity.clientOrderId,
    ...(plan.body['client_order_id'] !== identity.clientOrderId && { hasDerivedId: true as const }),
    ...(identity.scope === undefined ? {} : { scope: identity.scope }),
    fingerprint: plan.fingerprint,
    path: plan.path,
    body: JSON.stringify(body),
    subject: context.subject,
    requestId: context.requestId,
    recordedAt: now,
    maxAgeMs: maxAgeMsOf(body),
    ambiguous: orders.ambiguous,
    onLate: orders.onLate,
    attempts: 1,
    cancelRequested: false,
    ...(firstByte !== undefined && { firstByte }),
  };
}

/** What would be sent. @param view what the rules saw of it */
export function dryRunAnswer(
  { kind, clientOrderId, path, body }: IntentRecord,
  view: Readonly<Record<string, unknown>>,
): AccountAnswer {
  return jsonAnswer(200, {
    dry_run: true,
    client_order_id: clientOrderId,
    method: kind === 'replace' ? 'PATCH' : 'POST',
    path,
    body: JSON.parse(body) as unknown,
    ...view,
  });
}
