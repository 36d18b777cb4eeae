/** What a risk rule is: a question about one order, asked before anything is written or sent. */
import type { RiskRules } from '../../../kernel/config/gateway-config.js';
import type { Exposure } from '../exposure/exposure.js';
import type { Instrument } from '../../../kernel/domain/instrument.js';
import type { Quoted, Valued } from './order-value.js';
import type { OrderView } from './order-view.js';
import type { RecentOrders } from './recent-orders.js';

export interface Quote extends Quoted {
  /** Undefined for a price that is no quote: of a position. */
  readonly ageMs: number | undefined;
}

export interface RiskQuestion {
  readonly order: OrderView;
  readonly rules: RiskRules;
  /** Equal for two orders that differ in their client order id alone. */
  readonly likeness: string;
  readonly quoteOf: (instrument: Instrument) => Quote | undefined;
  readonly value: Valued;
  readonly exposure: Exposure;
  readonly recent: RecentOrders;
}

export type RiskAnswer =
  /** Refused by us, with the numbers that decided. */
  | {
      readonly kind: 'denied';
      readonly rule: string;
      readonly detail: string;
      readonly numbers: Readonly<Record<string, string | number>>;
    }
  /** The rule cannot be judged now: the order is not sent, and the caller may try again. */
  | {
      readonly kind: 'uncertain';
      readonly rule: string;
      readonly reason: string;
      readonly detail: string;
      /** Whose quote is missing. */
      readonly instrument?: Instrument;
    };

/** Undefined: no objection. */
export type RiskRule = (question: RiskQuestion) => RiskAnswer | undefined;

export function noQuote(rule: string, instrument: Instrument): RiskAnswer {
  const detail = `There is no quote of ${instrument.symbol} to judge the order by.`;
  return { kind: 'uncertain', rule, reason: 'no-quote', detail, instrument };
}
