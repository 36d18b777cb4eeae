/** All risk rules of an account, cheapest first. An account's own rules replace the defaults one by one. */
import type { RiskConfig, RiskRules } from '../../../kernel/config/gateway-config.js';
import { priceCollar, quoteAge, quoteSpread } from './collar-rule.js';
import { noShort } from './position-rules.js';
import { duplicateWindow, maxOpenOrders, maxOrdersPerMinute } from './rate-rules.js';
import type { RiskAnswer, RiskQuestion, RiskRule } from './rule.js';
import { maxOrderNotional, maxOrderQty } from './size-rules.js';
import { allowSymbols, denySymbols } from './symbol-rules.js';

const RULES: Readonly<Record<string, RiskRule>> = {
  allow_symbols: allowSymbols,
  deny_symbols: denySymbols,
  max_order_qty: maxOrderQty,
  max_orders_per_minute: maxOrdersPerMinute,
  duplicate_window: duplicateWindow,
  max_open_orders: maxOpenOrders,
  max_order_notional: maxOrderNotional,
  price_collar: priceCollar,
  max_quote_age_ms: quoteAge,
  max_spread_percent: quoteSpread,
  no_short: noShort,
};

export function rulesOf(config: RiskConfig, accountId: string): RiskRules {
  return { ...config.defaults, ...config.accounts[accountId] };
}

/** The first objection, or undefined. */
export function askRisk(question: RiskQuestion): RiskAnswer | undefined {
  for (const rule of Object.values(RULES)) {
    const answer = rule(question);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

/** What each rule says of the order, for a caller that wants to see it before the order is placed. */
export function viewOfRules(question: RiskQuestion): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(RULES).map(([name, rule]) => {
      const answer = rule(question);
      return [name, answer === undefined ? { passes: true } : { passes: false, ...seenBy(answer) }];
    }),
  );
}

function seenBy(answer: RiskAnswer): object {
  const { detail } = answer;
  return answer.kind === 'denied' ? { detail, ...answer.numbers } : { detail, reason: answer.reason };
}
