/** Makes an intent durable before it may be sent: journal and audit each sync their own file, and the order waits for both. */
import type { AccountJournal } from '../../kernel/journal/account-journal.js';
import { outcomeOf } from './answers.js';
import type { LiveIntent } from './live-intent.js';
import type { DeskPorts } from './ports.js';

/** False when one of the two has not taken it: then it is not sent. */
export async function makeDurable(
  live: LiveIntent,
  likeness: string,
  journal: AccountJournal,
  ports: DeskPorts,
): Promise<boolean> {
  const { intent } = live;
  const { accountId, subject, requestId, clientOrderId, kind, path } = intent;
  ports.crash.reach('K0');
  const facts = { client_order_id: clientOrderId, kind, path, body: live.body };
  const writes = [
    journal.recordIntent(intent, likeness),
    ports.audit.append({ kind: 'intent', accountId, subject, requestId, facts }),
  ];
  ports.crash.reach('K1');
  const results = await Promise.allSettled(writes);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed === undefined) return true;
  ports.log.error({ accountId, clientOrderId, cause: failed.reason as unknown }, 'order intent not written');
  // One that another owner may have sent stays open: what this one did not do says nothing of it.
  const isOursAlone = live.verdict.state === 'NONE';
  if (results[0]?.status === 'fulfilled' && isOursAlone) await recordUnsent(live, journal, ports);
  return false;
}

/** The journal has the intent and the audit does not: nothing was sent, and a successor must know. */
async function recordUnsent(live: LiveIntent, journal: AccountJournal, ports: DeskPorts): Promise<void> {
  live.note({ kind: 'attempt', attempt: 1, result: { kind: 'not-sent', reason: 'audit', detail: 'not audited' } });
  const outcome = outcomeOf(live.verdict, live.intent, ports.clock.now());
  await journal.recordOutcome(live.clientOrderId, outcome).catch((cause: unknown) => {
    ports.log.error({ clientOrderId: live.clientOrderId, cause }, 'order outcome not written');
  });
}
