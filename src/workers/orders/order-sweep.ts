/**
 * Reads every order of an account since a moment, open and closed, page by page, and shows each to whoever looks for
 * one. A few accounts at a time: a start with a thousand accounts must not ask the broker a thousand things at once.
 */
import type { AccountSession } from '../accounts/account-session.js';
import { isRecord, readJson, type BrokerOrder } from './core/order-match.js';

const PAGE = 500;
const PAGES_MAX = 40;
const PAGE_DEADLINE_MS = 10_000;
/** The broker's clock and ours differ. */
const MARGIN_MS = 60_000;

/** At most `limit` at once; the others wait in line. */
export class SweepGate {
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(private readonly limit: number) {}

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.limit) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#running += 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}

/** True when every page was read: then an order that was not shown did not exist at that time. */
export async function sweepOrders(
  session: AccountSession,
  since: number,
  show: (order: BrokerOrder) => void,
): Promise<boolean> {
  let cursor = `after=${encodeURIComponent(new Date(since - MARGIN_MS).toISOString())}`;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const reply = await session.send({
      method: 'GET',
      path: `/v2/orders?status=all&direction=asc&limit=${PAGE}&${cursor}`,
      lane: 'lookup',
      deadlineMs: PAGE_DEADLINE_MS,
    });
    if (reply.kind !== 'answered' || reply.status !== 200) return false;
    const orders = readJson(reply.body);
    if (!Array.isArray(orders)) return false;
    const listed = orders.filter(isRecord);
    for (const order of listed) show(order);
    if (listed.length < PAGE) return true;
    const last = listed.at(-1)?.['id'];
    if (typeof last !== 'string') return false;
    cursor = `after_order_id=${encodeURIComponent(last)}`;
  }
  return false;
}
