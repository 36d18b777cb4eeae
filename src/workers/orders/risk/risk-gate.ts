/** All risk rules of an account, cheapest first. An account's own rules replace the defaults one by one. */
import type { RiskConfig, RiskRules } from '../../../kernel/config/gateway-config.js';
import { priceCollar } from './collar-rule.js';
import { noShort } from './position-rules.js';
import { duplicateWindow, maxOpenOrders, maxOrdersPerMinute } from './rate-rules.js';
import type { RiskAnswer, RiskQuestion, RiskRule } from './rule.js';
import { maxOrderNotional, maxOrderQty } from './size-rules.js';
import { allowSymbols, denySymbols } from './symbol-rules.js';

const RULES: readonly RiskRule[] = [
  allowSymbols,
  denySymbols,
  maxOrderQty,
  maxOrdersPerMinute,
  duplicateWindow,
  maxOpenOrders,
  maxOrderNotional,
  priceCollar,
  noShort,
];

export function rulesOf(config: RiskConfig, accountId: string): RiskRules {
  return { ...config.defaults, ...config.accounts[accountId] };
}

/** The first objection, or undefined. */
export function askRisk(question: RiskQuestion): RiskAnswer | undefined {
  for (const rule of RULES) {
    const answer = rule(question);
    if (answer !== undefined) return answer;
  }
  return undefined;
}
