/** What an order does to the account's position: rules that need to know it, and what other orders hold of it. */
import { compareDecimals, printDecimal, ZERO } from '../../../kernel/domain/decimal.js';
import { noQuote, type RiskAnswer, type RiskQuestion, type RiskRule } from './rule.js';
import { wantedQty } from './size-rules.js';

/** Nothing may be sold that is not held: what is held less what other orders sell already. */
export const noShort: RiskRule = (question) =>
  question.rules.noShort === true ? covered(question, 'no_short', ['sell']) : undefined;

/** In REDUCING an order may only make a position smaller. Not configured: the trading state asks. */
export function onlyReduces(question: RiskQuestion): RiskAnswer | undefined {
  const rule = 'reducing';
  const { order, exposure } = question;
  if (!exposure.isKnown) return uncertain(rule);
  const opening = order.legs.find(({ instrument, side }) => {
    const held = compareDecimals(exposure.held(instrument), ZERO);
    return side === 'buy' ? held >= 0 : held <= 0;
  });
  if (opening !== undefined) {
    const numbers = { symbol: opening.instrument.symbol };
    return denied(rule, 'Only orders that reduce a position are taken now.', numbers);
  }
  return covered(question, rule, ['buy', 'sell']);
}

function covered(question: RiskQuestion, rule: string, sides: readonly ('buy' | 'sell')[]): RiskAnswer | undefined {
  const { order, exposure } = question;
  for (const leg of order.legs) {
    const { instrument, side } = leg;
    if (side === undefined || !sides.includes(side)) continue;
    if (!exposure.isKnown) return uncertain(rule);
    const wanted = wantedQty(question, leg);
    if (wanted === undefined) return noQuote(rule, instrument);
    const available = exposure.available(instrument, side);
    if (compareDecimals(wanted, available) <= 0) continue;
    const reserved = exposure.reserved(instrument, side);
    const numbers = {
      symbol: instrument.symbol,
      value: printDecimal(wanted),
      limit: printDecimal(available),
      reserved: reserved === undefined ? 'all' : printDecimal(reserved),
    };
    return denied(rule, 'The order is larger than what the position leaves.', numbers);
  }
  return undefined;
}

function denied(rule: string, detail: string, numbers: Readonly<Record<string, string>>): RiskAnswer {
  return { kind: 'denied', rule, detail, numbers };
}

function uncertain(rule: string): RiskAnswer {
  return { kind: 'uncertain', rule, reason: 'risk', detail: 'The position of the account is not known now.' };
}
