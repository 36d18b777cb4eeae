/**
 * Trading of one account at a simulator while its stream comes and goes, and what a session told of it held against the
 * venue's own executions and orders.
 */
import type { Simulator } from '../../src/simulator/simulator.js';
import type { TradeUpdate } from '../../src/workers/accounts/account-session.js';
import { canonicalDecimal } from '../../src/workers/accounts/mirrored.js';
import type { Random } from './random.js';
import { RESTING } from './broker-accounts.js';
import { Caller } from './simulator-caller.js';

/** What the stream, an activity and the venue all say of a fill: the order, and what it had filled after it. */
export function fillMark({ data, order }: Pick<TradeUpdate, 'data' | 'order'>): string {
  const { cum_qty: cumQty } = JSON.parse(data) as { readonly cum_qty?: string };
  return markOf(String(order['id']), cumQty ?? String(order['filled_qty']));
}

export function markOf(orderId: string, filledAfter: string): string {
  return `${orderId} ${canonicalDecimal(filledAfter)}`;
}

export class GapFlow {
  readonly #caller: Caller;
  #count = 0;

  constructor(
    private readonly simulator: Simulator,
    private readonly accountIndex: number,
    private readonly random: Random,
  ) {
    this.#caller = new Caller(simulator.url, this.#keys());
  }

  get accountId(): string {
    return this.#keys().accountId;
  }

  /** Places, fills in parts, cancels, replaces: a few steps, as the random source says. */
  async act(steps: number): Promise<void> {
    for (let step = 0; step < steps; step += 1) {
      const open = this.#open();
      const choice = open.length < 3 ? 0 : this.random.below(5);
      const id = open.length === 0 ? '' : this.random.pick(open).id;
      if (choice === 0) {
        this.#count += 1;
        const order = { ...RESTING, client_order_id: `flow-${this.accountIndex}-${this.#count}` };
        await this.#caller.post('/v2/orders', order);
      } else if (choice === 1) await this.#caller.call('DELETE', `/v2/orders/${id}`);
      else if (choice === 2) await this.#caller.call('PATCH', `/v2/orders/${id}`, { limit_price: '6' });
      else if (choice === 3) this.#fill(id, '1');
      else this.#fill(id);
    }
  }

  /** So that one can be filled. */
  async haveOpenOrder(): Promise<void> {
    while (this.#open().length === 0) await this.act(1);
  }

  fillOpenOrder(): void {
    this.#fill(this.random.pick(this.#open()).id, '1');
  }

  /** Every execution and every end of this account once, fills of an order by rising sum. Throws what is wrong. */
  verify(heard: readonly TradeUpdate[]): void {
    const fills = heard.filter(({ event }) => event === 'fill' || event === 'partial_fill');
    // An activity names no execution: what both know is the order and what it had filled after it.
    const told = fills.map(fillMark);
    const true_ = this.simulator.control
      .executions(this.accountId)
      .map(({ orderId, cumQty }) => markOf(orderId, cumQty));
    const lost = true_.filter((id) => !told.includes(id));
    const invented = told.filter((id) => !true_.includes(id));
    const twice = told.filter((id, at) => told.indexOf(id) !== at);
    const ends = ['canceled', 'replaced', 'expired', 'rejected'];
    const wrongEnds = this.simulator.control
      .orders({ accountId: this.accountId })
      .filter(({ status }) => ends.includes(status))
      .map(({ id, status }) => [
        status,
        heard.filter(({ event, order }) => event === status && order['id'] === id).length,
      ])
      .filter(([, count]) => count !== 1);
    if (lost.length + invented.length + twice.length + wrongEnds.length > 0) {
      throw new TypeError(JSON.stringify({ account: this.accountId, lost, invented, twice, wrongEnds }));
    }
  }

  /** True when nothing is missing any more. */
  isWhole(heard: readonly TradeUpdate[]): boolean {
    try {
      this.verify(heard);
      return true;
    } catch {
      return false;
    }
  }

  #open(): ReturnType<Simulator['control']['orders']> {
    return this.simulator.control
      .orders({ accountId: this.accountId })
      .filter(({ status }) => status === 'new' || status === 'partially_filled');
  }

  #fill(orderId: string, qty?: string): void {
    try {
      this.simulator.control.fill(orderId, { price: '5', ...(qty !== undefined && { qty }) });
    } catch {
      // It ended meanwhile.
    }
  }

  #keys(): Simulator['accounts'][number] {
    const keys = this.simulator.accounts[this.accountIndex];
    if (keys === undefined) throw new TypeError('no such account');
    return keys;
  }
}
