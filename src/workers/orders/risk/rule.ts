/** What a risk rule is: a question about one order, asked before anything is written or sent. */
import type { RiskRules } from '../../../kernel/config/gateway-config.js';
import type { MirrorView } from '../../accounts/account-session.js';
import type { MarkSource } from '../ports.js';
import type { OrderView } from './order-view.js';
import type { RecentOrders } from './recent-orders.js';

export interface RiskQuestion {
  readonly order: OrderView;
  readonly fingerprint: string;
  readonly rules: RiskRules;
  readonly marks: MarkSource;
  readonly mirror: MirrorView;
  readonly recent: RecentOrders;
  /** Intents of this account without an outcome: orders that the mirror may not show yet. */
  readonly openIntents: number;
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
  | { readonly kind: 'uncertain'; readonly rule: string; readonly detail: string };

/** Undefined: no objection. */
export type RiskRule = (question: RiskQuestion) => RiskAnswer | undefined;
