import { expect, test } from '@jest/globals';
import type { SessionReport } from '../../../src/kernel/domain/account-request.js';
import { gaugeAccounts } from '../../../src/primary/status/account-gauges.js';

function told(accounts: readonly Partial<SessionReport>[]): Readonly<Record<string, number>> {
  const values: Record<string, number> = {};
  gaugeAccounts(accounts as readonly SessionReport[], { gauge: (name, value) => (values[name] = value) });
  return values;
}

test('the account with the least budget and the oldest unknown order speak for all', () => {
  const values = told([
    { openUnknown: 2, oldestUnknownMs: 61_000, budget: { limit: 200, remaining: 150, resetsInMs: 1 } },
    { openUnknown: 1, oldestUnknownMs: 500, budget: { limit: 1_000, remaining: 100, resetsInMs: 1 } },
    { openUnknown: 0 },
  ]);

  expect(values).toEqual({
    opitios_account_budget_remaining_ratio: 0.1,
    opitios_orders_unknown: 3,
    opitios_order_unknown_age_seconds: 61,
  });
});

test('where nothing is unknown the age is 0, and where nobody knows a budget none is told', () => {
  expect(told([{ openUnknown: 0 }])).toEqual({ opitios_orders_unknown: 0, opitios_order_unknown_age_seconds: 0 });
});
