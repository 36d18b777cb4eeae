/** What of the accounts is a number for the whole instance, and no sum over its workers: said by the primary. */
import type { SessionReport } from '../../kernel/domain/account-request.js';
import type { Meter } from '../../kernel/runtime/meter.js';

export function gaugeAccounts(accounts: readonly SessionReport[], meter: Pick<Meter, 'gauge'>): void {
  const shares = accounts.flatMap(({ budget }) => (budget === undefined ? [] : [budget.remaining / budget.limit]));
  if (shares.length > 0) meter.gauge('opitios_account_budget_remaining_ratio', Math.min(...shares));
  const unknown = accounts.reduce((sum, { openUnknown }) => sum + openUnknown, 0);
  meter.gauge('opitios_orders_unknown', unknown);
  const ages = accounts.map(({ oldestUnknownMs }) => oldestUnknownMs ?? 0);
  meter.gauge('opitios_order_unknown_age_seconds', Math.max(0, ...ages) / 1_000);
}
