/**
 * Whether trading is allowed: a state for everything and one for each account, both kept on disk, the stricter counts.
 * HALTED sends no order. REDUCING sends only what makes a position smaller. Cancels go out in every state.
 */
import type { TradingState } from '../../kernel/domain/account-request.js';

const STRICTNESS: Readonly<Record<TradingState, number>> = { ACTIVE: 0, REDUCING: 1, HALTED: 2 };

export function stricter(a: TradingState, b: TradingState): TradingState {
  return STRICTNESS[a] >= STRICTNESS[b] ? a : b;
}
