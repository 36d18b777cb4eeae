/**
 * The account's orders as far as they are known here: all that work, and the last ones that ended. Whatever the order in
 * which news arrive, an order only moves forward: terminal stays terminal (a fill may follow a cancel), the filled
 * quantity never falls.
 */
import { canonicalDecimal, isEarlier, isMore, isTerminal, textOf, type Mirrored } from './mirrored.js';

const ENDED_KEPT_MAX = 1_000;

export class OrderBook {
  readonly #working = new Map<string, Mirrored>();
  readonly #ended = new Map<string, Mirrored>();
  readonly #byClientOrderId = new Map<string, string>();

  /** False when it is older than what is known, and is left aside. */
  put(order: Mirrored): boolean {
    const id = textOf(order.value, 'id');
    if (id === '') return false;
    const known = this.get(id);
    if (known !== undefined && isOlder(order, known)) return false;
    this.#working.delete(id);
    this.#ended.delete(id);
    const clientOrderId = textOf(order.value, 'client_order_id');
    if (clientOrderId !== '') this.#byClientOrderId.set(clientOrderId, id);
    if (!isTerminal(textOf(order.value, 'status'))) {
      this.#working.set(id, order);
      return true;
    }
    this.#ended.set(id, order);
    if (this.#ended.size > ENDED_KEPT_MAX) this.#forgetOldest();
    return true;
  }

  /** The broker does not know it any more. */
  remove(id: string): void {
    const clientOrderId = textOf(this.get(id)?.value ?? {}, 'client_order_id');
    this.#working.delete(id);
    this.#ended.delete(id);
    if (this.#byClientOrderId.get(clientOrderId) === id) this.#byClientOrderId.delete(clientOrderId);
  }

  get(id: string): Mirrored | undefined {
    return this.#working.get(id) ?? this.#ended.get(id);
  }

  byClientOrderId(clientOrderId: string): Mirrored | undefined {
    const id = this.#byClientOrderId.get(clientOrderId);
    return id === undefined ? undefined : this.get(id);
  }

  working(): readonly Mirrored[] {
    return [...this.#working.values()];
  }

  #forgetOldest(): void {
    const [oldest] = this.#ended;
    if (oldest === undefined) return;
    this.#ended.delete(oldest[0]);
    this.#byClientOrderId.delete(textOf(oldest[1].value, 'client_order_id'));
  }
}

function isOlder(order: Mirrored, known: Mirrored): boolean {
  const [filled, knownFilled] = [filledQuantity(order), filledQuantity(known)];
  if (isMore(knownFilled, filled)) return true;
  if (isMore(filled, knownFilled)) return false;
  const [ended, knownEnded] = [hasEnded(order), hasEnded(known)];
  if (ended !== knownEnded) return knownEnded;
  // Answer and event race: what an order was before it worked is never shown after it has.
  const [begun, knownBegun] = [hasBegun(order), hasBegun(known)];
  if (begun !== knownBegun) return knownBegun;
  return isEarlier(textOf(order.value, 'updated_at'), textOf(known.value, 'updated_at'));
}

const NOT_BEGUN = new Set(['pending_new', 'accepted', 'accepted_for_bidding']);

function hasBegun(order: Mirrored): boolean {
  return !NOT_BEGUN.has(textOf(order.value, 'status'));
}

export function filledQuantity(order: Mirrored): string {
  return canonicalDecimal(textOf(order.value, 'filled_qty') || '0');
}

function hasEnded(order: Mirrored): boolean {
  return isTerminal(textOf(order.value, 'status'));
}
