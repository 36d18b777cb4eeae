/**
 * Fills that an answer showed and no event has yet: the position here does not know of them, so they still count
 * against it. The event, the stream's or one that a repair found, takes them off; after half a minute the position has
 * been read from the broker.
 */
import type { Clock } from '../../../kernel/runtime/clock.js';
import {
  addDecimals,
  compareDecimals,
  readDecimal,
  subtractDecimals,
  ZERO,
  type Decimal,
} from '../../../kernel/domain/decimal.js';
import type { BrokerOrder } from '../core/order-match.js';
import type { Instrument } from '../../../kernel/domain/instrument.js';

interface Answered {
  readonly key: string;
  readonly side: unknown;
  readonly filled: Decimal;
  readonly until: number;
}

const KEPT_MS = 30_000;
const EVENTED_MAX = 2_000;

export class AnsweredFills {
  readonly #orders = new Map<string, Answered>();
  /** Filled quantity by order, by the last event of each. */
  readonly #evented = new Map<string, Decimal>();

  constructor(
    private readonly clock: Clock,
    private readonly instrumentOf: (name: string) => Instrument | undefined,
  ) {}

  answered(order: BrokerOrder): void {
    const { id, symbol, side } = order;
    const filled = readDecimal(order['filled_qty']) ?? ZERO;
    const instrument = typeof symbol === 'string' ? this.instrumentOf(symbol) : undefined;
    if (typeof id !== 'string' || instrument === undefined || compareDecimals(filled, ZERO) <= 0) return;
    const known = this.#evented.get(id) ?? ZERO;
    if (compareDecimals(known, filled) >= 0) return;
    const until = this.clock.monotonicMs() + KEPT_MS;
    this.#orders.set(id, { key: instrument.key, side, filled: subtractDecimals(filled, known), until });
  }

  event(order: BrokerOrder): void {
    const { id } = order;
    if (typeof id !== 'string') return;
    const filled = readDecimal(order['filled_qty']) ?? ZERO;
    // Fills come out of order too: what the latest of them showed stands.
    if (compareDecimals(filled, this.#evented.get(id) ?? ZERO) <= 0) return;
    this.#evented.delete(id);
    this.#evented.set(id, filled);
    if (this.#evented.size > EVENTED_MAX) {
      const [oldest] = this.#evented.keys();
      if (oldest !== undefined) this.#evented.delete(oldest);
    }
    this.#orders.delete(id);
  }

  qty(key: string, side: 'buy' | 'sell'): Decimal {
    const now = this.clock.monotonicMs();
    let sum = ZERO;
    for (const [id, answered] of this.#orders) {
      if (answered.until <= now) this.#orders.delete(id);
      else if (answered.key === key && answered.side === side) sum = addDecimals(sum, answered.filled);
    }
    return sum;
  }
}
