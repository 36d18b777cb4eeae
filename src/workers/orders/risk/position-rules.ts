/** What an order does to the account's position: rules that need to know it. */
import {
  absolute,
  addDecimals,
  compareDecimals,
  multiplyDecimals,
  printDecimal,
  readDecimal,
  subtractDecimals,
  ZERO,
  type Decimal,
} from '../core/decimal.js';
import type { MirrorView } from '../../accounts/account-session.js';
import type { LegView } from './order-view.js';
import type { RiskAnswer, RiskQuestion, RiskRule } from './rule.js';

/** Nothing may be sold that is not held: what is held less what open orders sell already. */
export const noShort: RiskRule = (question) =>
  question.rules.noShort === true ? coveredSells(question, 'no_short') : undefined;

/** In REDUCING an order may only make a position smaller. Not configured: the trading state asks. */
export function onlyReduces(question: RiskQuestion): RiskAnswer | undefined {
  const rule = 'reducing';
  const buys = question.order.legs.find(({ symbol, side }) => side === 'buy' && !isShort(question.mirror, symbol));
  if (!question.mirror.inSync) return uncertain(rule);
  if (buys !== undefined)
    return denied(rule, 'Only orders that reduce a position are taken now.', { symbol: buys.symbol });
  return covered(question, rule, ['buy', 'sell']);
}

function coveredSells(question: RiskQuestion, rule: string): RiskAnswer | undefined {
  return covered(question, rule, ['sell']);
}

function covered(question: RiskQuestion, rule: string, sides: readonly ('buy' | 'sell')[]): RiskAnswer | undefined {
  const { order, mirror } = question;
  for (const leg of order.legs) {
    if (leg.side === undefined || !sides.includes(leg.side)) continue;
    if (!mirror.inSync) return uncertain(rule);
    const available = availableTo(mirror, leg);
    const wanted = wantedQty(question, leg);
    if (wanted === undefined) {
      return denied(rule, 'The quantity cannot be compared with the position.', { symbol: leg.symbol });
    }
    if (compareDecimals(wanted, available) > 0) {
      const numbers = { symbol: leg.symbol, qty: printDecimal(wanted), available_qty: printDecimal(available) };
      return denied(rule, 'The order is larger than what the position leaves.', numbers);
    }
  }
  return undefined;
}

/** An order by value is sized by the quote's bid, the side that makes the quantity larger. */
function wantedQty({ order, marks }: RiskQuestion, leg: LegView): Decimal | undefined {
  if (order.qty !== undefined)
    return leg.ratio === undefined ? undefined : multiplyDecimals(absolute(order.qty), leg.ratio);
  const bid = readDecimal(marks.quote(leg.symbol)?.bidPrice);
  if (order.notional === undefined || bid === undefined || compareDecimals(bid, ZERO) <= 0) return undefined;
  const scale = 9;
  const digits =
    (order.notional.digits * 10n ** BigInt(scale + bid.scale)) / (bid.digits * 10n ** BigInt(order.notional.scale));
  return { digits: digits + 1n, scale };
}

/** What this side can still take off the position. */
function availableTo(mirror: MirrorView, leg: LegView): Decimal {
  const held = readDecimal(mirror.position(leg.symbol)?.['qty']) ?? ZERO;
  const closes = leg.side === 'sell' ? held : { digits: -held.digits, scale: held.scale };
  if (compareDecimals(closes, ZERO) <= 0) return ZERO;
  const left = subtractDecimals(closes, openQty(mirror, leg));
  return compareDecimals(left, ZERO) < 0 ? ZERO : left;
}

function openQty(mirror: MirrorView, leg: LegView): Decimal {
  return mirror
    .openOrders()
    .filter((open) => open['symbol'] === leg.symbol && open['side'] === leg.side)
    .reduce<Decimal>((sum, open) => {
      const leaves = subtractDecimals(readDecimal(open['qty']) ?? ZERO, readDecimal(open['filled_qty']) ?? ZERO);
      return addDecimals(sum, leaves);
    }, ZERO);
}

function isShort(mirror: MirrorView, symbol: string): boolean {
  return compareDecimals(readDecimal(mirror.position(symbol)?.['qty']) ?? ZERO, ZERO) < 0;
}

function denied(rule: string, detail: string, numbers: Readonly<Record<string, string>>): RiskAnswer {
  return { kind: 'denied', rule, detail, numbers };
}

function uncertain(rule: string): RiskAnswer {
  return { kind: 'uncertain', rule, detail: 'The position of the account is not known now.' };
}
