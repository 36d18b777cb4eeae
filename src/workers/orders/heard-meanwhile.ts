/** Keeps the trade updates that come while an account's journal is being taken over: a session tells each only once. */
import type { AccountSession, TradeUpdate } from '../accounts/account-session.js';

/** Beyond this the oldest are dropped; the session's next gap repair finds their fills. */
const KEPT_MAX = 10_000;

export class HeardMeanwhile {
  #kept: TradeUpdate[] = [];
  readonly #unsubscribe: () => void;

  constructor(session: AccountSession) {
    this.#unsubscribe = session.onTradeUpdate((update) => {
      if (this.#kept.length >= KEPT_MAX) this.#kept.shift();
      this.#kept.push(update);
    });
  }

  stop(): readonly TradeUpdate[] {
    this.#unsubscribe();
    const kept = this.#kept;
    this.#kept = [];
    return kept;
  }
}
