/** What is known here of one account, and how old it is. Written by the session only. */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { MirrorView } from './account-session.js';
import { isEarlier, textOf, type BrokerObject, type Mirrored } from './mirrored.js';
import { OrderBook } from './order-book.js';

export interface Asked {
  readonly at: number;
  readonly fills: number;
}

export class Mirror implements MirrorView {
  readonly orders = new OrderBook();
  /** The stream is up and no gap is open: orders are as the broker's, up to what is on the wire. */
  inSync = false;
  #positions = new Map<string, Mirrored>();
  #positionsText = '[]';
  #positionsAt: number | undefined;
  #account: Mirrored | undefined;
  #accountAt: number | undefined;
  #aliveAt = 0;
  #fills = 0;
  /** Broker time of the last fill by position: RFC 3339. */
  readonly #filledAt = new Map<string, string>();

  constructor(private readonly clock: Clock) {}

  openOrders(): readonly BrokerObject[] {
    return this.orders.working().map(({ value }) => value);
  }

  orderByClientOrderId(clientOrderId: string): BrokerObject | undefined {
    return this.orders.byClientOrderId(clientOrderId)?.value;
  }

  orderById(orderId: string): BrokerObject | undefined {
    return this.orders.get(orderId)?.value;
  }

  position(symbol: string): BrokerObject | undefined {
    return this.#positions.get(positionKey(symbol))?.value;
  }

  positions(): readonly BrokerObject[] {
    return [...this.#positions.values()].map(({ value }) => value);
  }

  account(): BrokerObject | undefined {
    return this.#account?.value;
  }

  positionsText(symbol?: string): string | undefined {
    return symbol === undefined ? this.#positionsText : this.#positions.get(positionKey(symbol))?.text;
  }

  accountText(): string | undefined {
    return this.#account?.text;
  }

  /** Taken before the broker is asked: its answer is as old as the question. */
  asking(): Asked {
    return { at: this.clock.monotonicMs(), fills: this.#fills };
  }

  putPositions(text: string, positions: readonly Mirrored[], asked: Asked): void {
    this.#positions = new Map(positions.map((position) => [positionKey(textOf(position.value, 'symbol')), position]));
    this.#positionsText = text;
    this.#positionsAt = this.#asOf(asked);
  }

  putAccount(account: Mirrored, asked: Asked): void {
    this.#account = account;
    this.#accountAt = this.#asOf(asked);
  }

  /** A fill that came between question and answer may be missing in the answer. */
  #asOf({ at, fills }: Asked): number | undefined {
    return fills === this.#fills ? at : undefined;
  }

  /** A fill moved money and shares: what was read before it must not be shown after it. */
  noteFill(symbol: string, positionQty: string, at: string): void {
    this.#fills += 1;
    this.#positionsAt = undefined;
    this.#accountAt = undefined;
    const key = positionKey(symbol);
    const position = this.#positions.get(key);
    // Events may come out of order: what an earlier fill left is not what there is now.
    const isOlder = isEarlier(at, this.#filledAt.get(key) ?? '');
    if (symbol === '' || isOlder) return;
    this.#filledAt.set(key, at);
    // A fill that a repair found says nothing of the position: it is read.
    if (positionQty === '') return;
    // Risk reads quantities between the fill and the next read; the text is not shown any more.
    const value = { ...(position?.value ?? { symbol }), qty: positionQty, qty_available: positionQty };
    if (Number(positionQty) === 0) this.#positions.delete(key);
    else this.#positions.set(key, { text: position?.text ?? '', value });
  }

  noteAlive(): void {
    this.#aliveAt = this.clock.monotonicMs();
  }

  /** Milliseconds; Infinity for what must not be shown. */
  ageMs(of: 'orders' | 'positions' | 'account'): number {
    const now = this.clock.monotonicMs();
    if (of === 'orders') return this.inSync ? now - this.#aliveAt : Infinity;
    const at = of === 'positions' ? this.#positionsAt : this.#accountAt;
    return at === undefined ? Infinity : now - at;
  }
}

/** A pair is `BTC/USD` in orders and `BTCUSD` in positions. */
function positionKey(symbol: string): string {
  return symbol.replace('/', '');
}
