/**
 * Closes of an account that are under way, by instrument: at most one each. Also what its fills left of a position, so
 * that a position which the broker reads out late is not closed a second time.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import { readDecimal, type Decimal } from '../../kernel/domain/decimal.js';
import type { BrokerOrder } from './core/order-match.js';

interface LastFill {
  /** Signed position after the fill, where the event named it. */
  readonly positionQty: Decimal | undefined;
  readonly at: number;
  /** Broker time: RFC 3339. */
  readonly filledAt: string;
}

/** The broker's reads lag behind its acknowledgements by up to two seconds (docs/broker-wire.md). */
export const READS_SETTLE_MS = 3_000;
const FILLS_KEPT_MAX = 1_000;

export class Closings {
  readonly #begun = new Set<string>();
  readonly #fills = new Map<string, LastFill>();
  readonly #inherited = new Map<string, { readonly clientOrderId: string; readonly until: number }>();

  readonly #adoptedAt: number;

  /** @param isTakenOver a former owner's order may have been filled a moment ago, and its fill is not known here */
  constructor(
    private readonly clock: Clock,
    isTakenOver: boolean,
  ) {
    this.#adoptedAt = isTakenOver ? clock.monotonicMs() : -Infinity;
  }

  /** False while another close of the instrument reads its position; call `end` when the order is placed or refused. */
  begin(key: string): boolean {
    if (this.#begun.has(key)) return false;
    this.#begun.add(key);
    return true;
  }

  end(key: string): void {
    this.#begun.delete(key);
  }

  /** A former owner's close was acknowledged so long ago: lists and look-ups may not show it yet. */
  inherit(key: string, clientOrderId: string, ageMs: number): void {
    if (ageMs < READS_SETTLE_MS)
      this.#inherited.set(key, {
        clientOrderId,
        until: this.clock.monotonicMs() + READS_SETTLE_MS - Math.max(0, ageMs),
      });
  }

  /** The client order id of such a close, while reads cannot be trusted about it. */
  inherited(key: string): string | undefined {
    const one = this.#inherited.get(key);
    if (one === undefined) return undefined;
    if (this.clock.monotonicMs() < one.until) return one.clientOrderId;
    this.#inherited.delete(key);
    return undefined;
  }

  /** A fill was published, or an answer showed that an order has been filled. */
  filled(key: string, data: BrokerOrder | undefined): void {
    const before = this.#fills.get(key);
    const filledAt = typeof data?.['timestamp'] === 'string' ? data['timestamp'] : '';
    // Events come out of order too: the position that the latest fill left is the one to wait for.
    const isOlder = before !== undefined && filledAt !== '' && filledAt < before.filledAt;
    const positionQty = isOlder ? before.positionQty : readDecimal(data?.['position_qty']);
    this.#fills.delete(key);
    this.#fills.set(key, { positionQty, at: this.clock.monotonicMs(), filledAt: isOlder ? before.filledAt : filledAt });
    const [oldest] = this.#fills.keys();
    if (this.#fills.size > FILLS_KEPT_MAX && oldest !== undefined) this.#fills.delete(oldest);
  }

  /** The last fill, while a read of the position may not show it yet. */
  recentFill(key: string): LastFill | undefined {
    const fill = this.#fills.get(key) ?? { positionQty: undefined, at: this.#adoptedAt, filledAt: '' };
    return this.clock.monotonicMs() - fill.at < READS_SETTLE_MS ? fill : undefined;
  }
}
