/** Audit entries with defaults, for tests. */
import type { AuditEntry } from '../../src/kernel/audit/audit-log.js';
import { parseAccountId } from '../../src/kernel/domain/identifiers.js';

export const aMoment = { writer: 'worker-0', at: '2026-01-05T15:00:00.000Z', monotonicMs: 12 };

export function anEntry(overrides: Partial<AuditEntry> = {}): AuditEntry {
  return {
    kind: 'intent',
    accountId: parseAccountId('account_001'),
    subject: 'desk-1',
    requestId: 'r1',
    facts: { clientOrderId: 'g1abc', symbol: 'AAPL', note: 'naïve “quotes” and\nnewlines' },
    ...overrides,
  };
}
