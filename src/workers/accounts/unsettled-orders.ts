/**
 * Orders that this gateway has just canceled or replaced, until the mirror knows it: meanwhile reads of them, and lists, go
 * to the broker, so that nothing is shown as working that its caller has been answered about.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { BrokerCall, BrokerReply } from './account-session.js';

/** An event that has not come by then is lost, and the order watch finds what it would have said. */
const SETTLE_MS = 10_000;
const ORDER_PATH = /^\/v2\/orders\/([^/?]+)$/;

export class UnsettledOrders {
  readonly #until = new Map<string, number>();

  constructor(private readonly clock: Clock) {}

  /** @param working ids of what works, for a cancel of everything */
  note({ method, path }: BrokerCall, reply: BrokerReply, working: () => readonly string[]): void {
    if (method !== 'DELETE' && method !== 'PATCH') return;
    // A refusal changed nothing; of an answer that was lost nothing is known.
    if (reply.kind === 'not-sent' || (reply.kind === 'answered' && reply.status >= 400)) return;
    const id = ORDER_PATH.exec(path)?.[1];
    const until = this.clock.monotonicMs() + SETTLE_MS;
    if (id !== undefined) this.#until.set(decodeURIComponent(id), until);
    else if (method === 'DELETE' && path === '/v2/orders') for (const each of working()) this.#until.set(each, until);
  }

  /** An update of it came. */
  settled(orderId: string): void {
    this.#until.delete(orderId);
  }

  has(orderId: string): boolean {
    const until = this.#until.get(orderId);
    if (until === undefined) return false;
    if (this.clock.monotonicMs() < until) return true;
    this.#until.delete(orderId);
    return false;
  }

  isEmpty(): boolean {
    return ![...this.#until.keys()].some((id) => this.has(id));
  }
}
