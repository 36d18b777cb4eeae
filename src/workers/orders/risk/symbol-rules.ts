/** What may be traded. A rule about a stock covers its options too, by whichever name they are ordered. */
import type { Instrument } from '../../../kernel/domain/instrument.js';
import { instrumentOfSymbol } from '../../../kernel/domain/instrument.js';
import type { RiskRule } from './rule.js';

export const allowSymbols: RiskRule = ({ order, rules }) => {
  const allowed = rules.allowSymbols;
  if (allowed === undefined) return undefined;
  const other = order.legs.find(({ instrument }) => !isNamed(allowed, instrument));
  if (other === undefined) return undefined;
  const numbers = { symbol: other.instrument.symbol };
  return { kind: 'denied', rule: 'allow_symbols', detail: 'The symbol is not on the list.', numbers };
};

export const denySymbols: RiskRule = ({ order, rules }) => {
  const denied = rules.denySymbols;
  if (denied === undefined) return undefined;
  const found = order.legs.find(({ instrument }) => isNamed(denied, instrument));
  if (found === undefined) return undefined;
  const numbers = { symbol: found.instrument.symbol };
  return { kind: 'denied', rule: 'deny_symbols', detail: 'The symbol is on the deny list.', numbers };
};

function isNamed(list: readonly string[], { key, underlying }: Instrument): boolean {
  return list.some((name) => {
    const named = instrumentOfSymbol(name)?.key ?? name.toUpperCase();
    return named === key || named === underlying;
  });
}
