/**
 * Whether trading is allowed. A halt of everything is written to each account of that moment, as the account's own state.
 * HALTED sends no order. REDUCING sends only what makes a position smaller. Cancels go out in every state.
 */
import type { TradingState } from '../../kernel/domain/account-request.js';

const STRICTNESS: Readonly<Record<TradingState, number>> = { ACTIVE: 0, REDUCING: 1, HALTED: 2 };

export function stricter(a: TradingState, b: TradingState): TradingState {
  return STRICTNESS[a] >= STRICTNESS[b] ? a : b;
}
