/** What may be traded. A rule about a stock covers its options too. */
import { underlyingOf } from './order-view.js';
import type { RiskRule } from './rule.js';

export const allowSymbols: RiskRule = ({ order, rules }) => {
  const allowed = rules.allowSymbols;
  if (allowed === undefined) return undefined;
  const other = order.symbols.find((symbol) => !named(allowed, symbol));
  if (other === undefined) return undefined;
  return {
    kind: 'denied',
    rule: 'allow_symbols',
    detail: 'The symbol is not on the list.',
    numbers: { symbol: other },
  };
};

export const denySymbols: RiskRule = ({ order, rules }) => {
  const denied = rules.denySymbols;
  if (denied === undefined) return undefined;
  const found = order.symbols.find((symbol) => named(denied, symbol));
  if (found === undefined) return undefined;
  return {
    kind: 'denied',
    rule: 'deny_symbols',
    detail: 'The symbol is on the deny list.',
    numbers: { symbol: found },
  };
};

function named(list: readonly string[], symbol: string): boolean {
  return list.includes(symbol) || list.includes(underlyingOf(symbol));
}
