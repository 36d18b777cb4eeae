/**
 * Intents that a successor found open in the journal: what is known of each, and their record in the audit trail, since
 * their owner may have died when the journal had them and the trail had not. Sends nothing.
 */
import type { IntentRecord } from '../../kernel/journal/records.js';
import type { Evidence } from './core/evidence.js';
import type { LiveIntent } from './live-intent.js';
import type { DeskPorts, FirstBytes } from './ports.js';

/** A former owner may have sent it, unless its mark proves the opposite. */
export function evidenceLeft({ firstByte, attempts }: IntentRecord, firstBytes: FirstBytes | undefined): Evidence {
  // A mark speaks of the first attempt; a second one may be another process's.
  if (attempts > 1 || firstByte === undefined || firstBytes?.provesUnsent(firstByte) !== true)
    return { kind: 'taken-over' };
  const detail = 'The process that had the order ended before a byte of it left.';
  return { kind: 'attempt', attempt: 1, result: { kind: 'not-sent', reason: 'owner-ended', detail } };
}

export function isUnsent({ verdict }: LiveIntent): boolean {
  return verdict.state === 'NOT_SENT';
}

/**
 * Resolves when the trail has them, or has refused them: an attempt that cannot be audited is not made in any case.
 * Once a takeover, marked `recovered`, so that nobody counts an intent twice.
 */
export async function auditRecovered(open: readonly LiveIntent[], ports: DeskPorts): Promise<void> {
  await Promise.all(open.map((live) => auditOne(live, ports)));
}

async function auditOne({ intent, body }: LiveIntent, { audit, log }: DeskPorts): Promise<void> {
  const { accountId, subject, requestId, clientOrderId, kind, path, recordedAt } = intent;
  const recovered = { recovered: true, recorded_at: new Date(recordedAt).toISOString() };
  const facts = { client_order_id: clientOrderId, kind, path, body, ...recovered };
  await audit.append({ kind: 'intent', accountId, subject, requestId, facts }).catch((cause: unknown) => {
    log.error({ accountId, clientOrderId, cause }, 'recovered intent not audited');
  });
}
