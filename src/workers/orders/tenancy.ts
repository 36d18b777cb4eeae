/**
 * Whether what was recorded under an account id belongs to the brokerage account that the session reaches
 * (docs/order-protocol.md#tenancy): an account id can be given to another one, and inherits nothing then.
 */
import type { AuditLog } from '../../kernel/audit/audit-log.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { AccountJournal } from '../../kernel/journal/account-journal.js';
import type { Tenancy } from '../../kernel/journal/records.js';
import type { SlotJournal } from '../../kernel/journal/slot-journal.js';
import type { AccountSession } from '../accounts/account-session.js';

/** `unproven`: its keys are others, and the broker has not named their account yet. */
export type TenancyVerdict = 'same' | 'another' | 'unproven';

type Named = Pick<AccountSession, 'keysId' | 'brokerAccount'>;

export function judgeTenancy(kept: Tenancy | undefined, session: Named): TenancyVerdict {
  if (kept === undefined) return 'same';
  const named = session.brokerAccount();
  if (named !== undefined && kept.brokerAccountId !== undefined)
    return kept.brokerAccountId === named.id ? 'same' : 'another';
  if (kept.keysId === session.keysId) return 'same';
  // Recorded under keys whose account the broker never named: nothing shows that it is this one.
  return named === undefined ? 'unproven' : 'another';
}

/** The journal of an account for the brokerage account that its session reaches. @throws GatewayError JOURNAL_BROKEN, JOURNAL_LOCKED */
export async function adoptFor(
  session: AccountSession,
  { journal, audit, now }: { readonly journal: SlotJournal; readonly audit: AuditLog; readonly now: () => number },
): Promise<AccountJournal> {
  const { accountId, epoch, keysId } = session;
  const kept = journal.tenancy(accountId);
  if (judgeTenancy(kept, session) !== 'another') {
    const adopted = await journal.adopt(accountId, epoch);
    if (kept === undefined) await adopted.setTenancy({ keysId, since: 0, ...nameOf(session) });
    return adopted;
  }
  await auditLeft(accountId, journal.openIds(accountId), audit);
  return journal.adoptFresh(accountId, epoch, { keysId, since: now() + 1, ...nameOf(session) });
}

/** What the broker names, once it does, and the keys in use. */
export async function keepTenancy(session: Named, journal: AccountJournal): Promise<void> {
  const kept = journal.tenancy();
  if (judgeTenancy(kept, session) !== 'same') return;
  const next = { keysId: session.keysId, since: kept?.since ?? 0, ...nameOf(session) };
  if (kept?.keysId === next.keysId && kept.brokerAccountId === next.brokerAccountId) return;
  await journal.setTenancy(next);
}

function nameOf(session: Named): { readonly brokerAccountId?: string } {
  const named = session.brokerAccount();
  return named === undefined ? {} : { brokerAccountId: named.id };
}

/** Orders of the brokerage account before that are unknown still: nothing here can reach them any more. */
async function auditLeft(accountId: AccountId, clientOrderIds: readonly string[], audit: AuditLog): Promise<void> {
  const reason = 'the account id was given to another brokerage account';
  const one = (clientOrderId: string): Promise<void> => {
    const facts = { client_order_id: clientOrderId, state: 'ABANDONED_UNCONFIRMED', reason };
    return audit.append({ kind: 'outcome', accountId, subject: 'system', facts });
  };
  await Promise.all([
    audit.append({
      kind: 'config-change',
      accountId,
      subject: 'system',
      facts: { action: 'account-exchanged', reason },
    }),
    ...clientOrderIds.map(one),
  ]);
}
