/**
 * Intents that a successor found open in the journal, told to the audit trail again: their owner may have died when the
 * journal had them and the trail had not. Decides nothing and sends nothing.
 */
import type { LiveIntent } from './live-intent.js';
import type { DeskPorts } from './ports.js';

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
