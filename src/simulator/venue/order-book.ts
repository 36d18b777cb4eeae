/**
 * Every account and every order the venue has ever had, with the indices that matching and listing need. The venue's
 * own truth: tests compare the gateway with this. It decides nothing.
 */
import type { Account, Execution } from './account.js';
import { isTerminal, type Order } from './order.js';

export class OrderBook {
  readonly accounts = new Map<string, Account>();
  readonly executions: Execution[] = [];
  readonly #orders = new Map<string, Order>();
  readonly #openBySymbol = new Map<string, Set<Order>>();
  #sequence = 0;

  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  account(accountId: string): Account | undefined {
    return this.accounts.get(accountId);
  }

  order(orderId: string): Order | undefined {
    return this.#orders.get(orderId);
  }

  /** All orders of all accounts in submission order, children included. */
  orders(): IterableIterator<Order> {
    return this.#orders.values();
  }

  add(order: Order): void {
    this.#orders.set(order.id, order);
    const account = this.accounts.get(order.accountId);
    account?.ordersById.set(order.id, order);
    account?.ordersByClientId.set(order.clientOrderId, order);
    this.settle(order);
  }

  /** Keeps the indices of working orders true; called after every change of status. */
  settle(order: Order): void {
    const account = this.accounts.get(order.accountId);
    if (isTerminal(order)) {
      account?.open.delete(order);
      for (const symbol of symbolsOf(order)) this.#openBySymbol.get(symbol)?.delete(order);
      return;
    }
    account?.open.add(order);
    // Children of a multi-leg order trade only through their parent.
    if (order.parent?.terms.orderClass === 'mleg') return;
    for (const symbol of symbolsOf(order)) {
      const orders = this.#openBySymbol.get(symbol) ?? new Set();
      orders.add(order);
      this.#openBySymbol.set(symbol, orders);
    }
  }

  /** Working orders that a new price of this symbol could fill. A copy: fills change the set. */
  working(symbol: string): readonly Order[] {
    const orders = this.#openBySymbol.get(symbol);
    return orders === undefined || orders.size === 0 ? [] : [...orders];
  }
}

function symbolsOf(order: Order): readonly string[] {
  return order.terms.orderClass === 'mleg' && order.parent === undefined
    ? order.legs.map((leg) => leg.terms.symbol)
    : [order.terms.symbol];
}
