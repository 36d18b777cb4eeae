/**
 * Which fills of an account have been published, by the order (or leg order) that they filled. The stream names an
 * execution; an activity of the same fill does not (docs/broker-wire.md#account-activities). Within the stream the execution
 * id decides. Between stream and activities, and after a restart, the cumulative quantity does; where two fills carry one
 * snapshot, also quantity, price and time. What an order itself says it has filled is the sum that must come out.
 */
import {
  addDecimals,
  compareDecimals,
  readDecimal,
  subtractDecimals,
  ZERO,
  type Decimal,
} from '../../kernel/domain/decimal.js';

export interface OrderFill {
  /** Of a leg where the broker names legs. */
  readonly orderId: string;
  /** Absent where only an activity, or the order itself, showed it. */
  readonly executionId?: string;
  /** Filled of the order after it; absent where it was not named. */
  readonly cumQty?: string;
  readonly qty: string;
  readonly price: string;
  /** Broker time, RFC 3339. */
  readonly at: string;
}

interface Published {
  readonly fill: OrderFill;
  /** An execution of the stream is known by its id from then on. */
  executionId: string | undefined;
}

const ORDERS_MAX = 5_000;
/** Stream and activities write the time of one execution with different digits. */
const SAME_TIME_MS = 1_000;

export class PublishedFills {
  readonly #byOrder = new Map<string, Published[]>();

  /** A copy that more can be noted in. */
  with(fills: readonly OrderFill[]): PublishedFills {
    const copy = new PublishedFills();
    for (const known of this.#byOrder.values()) for (const { fill } of known) copy.note(fill);
    for (const fill of fills) copy.note(fill);
    return copy;
  }

  note(fill: OrderFill): void {
    const known = this.#byOrder.get(fill.orderId) ?? [];
    known.push({ fill, executionId: fill.executionId });
    this.#byOrder.delete(fill.orderId);
    this.#byOrder.set(fill.orderId, known);
    const [oldest] = this.#byOrder.keys();
    if (this.#byOrder.size > ORDERS_MAX && oldest !== undefined) this.#byOrder.delete(oldest);
  }

  /** Whether this fill of the stream has been published; one that only an activity showed gets its execution id. */
  knows(fill: OrderFill): boolean {
    const known = this.#byOrder.get(fill.orderId) ?? [];
    const { executionId } = fill;
    if (executionId !== undefined && known.some((one) => one.executionId === executionId)) return true;
    const same = known.find((one) => this.#isSame(one, fill));
    if (same === undefined) return false;
    same.executionId ??= executionId;
    return true;
  }

  /**
   * Those of an order's activities that have not been published, oldest first, as far as the order says it has filled.
   * @param filledQty of the order as it was read with them or later
   */
  missing(orderId: string, activities: readonly OrderFill[], filledQty: Decimal): readonly OrderFill[] {
    const unmatched = [...(this.#byOrder.get(orderId) ?? [])];
    const without = (isSame: (a: OrderFill, b: OrderFill) => boolean, of: readonly OrderFill[]): OrderFill[] =>
      of.filter((activity) => {
        const found = unmatched.findIndex(({ fill }) => isSame(fill, activity));
        if (found >= 0) unmatched.splice(found, 1);
        return found < 0;
      });
    // All that the sum distinguishes first: of two alike in everything else it does not matter which is missing.
    const left = without(isSameTrade, without(isSameSum, activities));
    let open = subtractDecimals(filledQty, this.sum(orderId));
    return left.filter(({ qty }) => {
      const size = readDecimal(qty) ?? ZERO;
      if (compareDecimals(size, open) > 0) return false;
      open = subtractDecimals(open, size);
      return true;
    });
  }

  /** Published of an order; what `filled_qty` must come to. */
  sum(orderId: string): Decimal {
    const known = this.#byOrder.get(orderId) ?? [];
    return known.reduce((sum, { fill }) => addDecimals(sum, readDecimal(fill.qty) ?? ZERO), ZERO);
  }

  of(orderId: string): readonly OrderFill[] {
    return (this.#byOrder.get(orderId) ?? []).map(({ fill }) => fill);
  }

  /** A stream may bring again what a repair published, never under two execution ids. */
  #isSame({ fill, executionId }: Published, asked: OrderFill): boolean {
    if (executionId !== undefined && asked.executionId !== undefined) return false;
    if (isSameSum(fill, asked)) return true;
    return isSameTrade(fill, asked) && !this.#canHold(asked);
  }

  /** Two fills alike within a moment are two as long as the order had filled so much after the later one. */
  #canHold({ orderId, cumQty, qty }: OrderFill): boolean {
    const after = addDecimals(this.sum(orderId), readDecimal(qty) ?? ZERO);
    const filled = readDecimal(cumQty);
    return filled !== undefined && compareDecimals(after, filled) <= 0;
  }
}

/** Undefined sums prove nothing. */
function isSameSum(a: OrderFill, b: OrderFill): boolean {
  const [left, right] = [readDecimal(a.cumQty), readDecimal(b.cumQty)];
  if (left === undefined || right === undefined || compareDecimals(left, right) !== 0) return false;
  return isEqual(a.qty, b.qty);
}

function isSameTrade(a: OrderFill, b: OrderFill): boolean {
  const apartMs = Math.abs(Date.parse(a.at) - Date.parse(b.at));
  return isEqual(a.qty, b.qty) && isEqual(a.price, b.price) && !(apartMs > SAME_TIME_MS);
}

function isEqual(a: string, b: string): boolean {
  const [left, right] = [readDecimal(a), readDecimal(b)];
  return left !== undefined && right !== undefined && compareDecimals(left, right) === 0;
}
