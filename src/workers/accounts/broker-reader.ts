/** GETs of one account whose answer is read here: one retry, whole pages, undefined for anything that is no answer. */
import type { BrokerReply, BudgetLane } from './account-session.js';
import type { BudgetedCalls } from './budgeted-calls.js';
import { mirroredListOf, mirroredOf, textOf, type Mirrored } from './mirrored.js';

const DEADLINE_MS = 10_000;
const PAGE_ORDERS = 500;
const PAGE_FILLS = 100;
/** 50,000 orders in one gap is a broker gone wrong. */
const PAGES_MAX = 100;

export class BrokerReader {
  constructor(
    private readonly calls: BudgetedCalls,
    private readonly lane: BudgetLane,
  ) {}

  /** A GET may be asked again: an idle socket that the broker closed meanwhile fails its first request. */
  async get(path: string): Promise<Extract<BrokerReply, { kind: 'answered' }> | undefined> {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      const reply = await this.calls.send({ method: 'GET', path, lane: this.lane, deadlineMs: DEADLINE_MS });
      if (reply.kind === 'answered') return reply;
      if (reply.kind === 'not-sent' && reply.reason !== 'connect') return undefined;
    }
    return undefined;
  }

  async object(path: string): Promise<Mirrored | undefined> {
    const reply = await this.get(path);
    return reply?.status === 200 ? this.objectOf(reply) : undefined;
  }

  objectOf({ body }: { readonly body: Uint8Array }): Mirrored | undefined {
    return mirroredOf(Buffer.from(body).toString());
  }

  async list(path: string): Promise<{ text: string; items: readonly Mirrored[] } | undefined> {
    const reply = await this.get(path);
    if (reply?.status !== 200) return undefined;
    const text = Buffer.from(reply.body).toString();
    const items = mirroredListOf(text);
    return items === undefined ? undefined : { text, items };
  }

  /** Ascending by submission; children of complex orders come on their own. */
  async orders(status: 'open' | 'all', after?: string): Promise<readonly Mirrored[] | undefined> {
    const found = new Map<string, Mirrored>();
    let from = after;
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const query = new URLSearchParams({ status, direction: 'asc', limit: String(PAGE_ORDERS), nested: 'false' });
      if (from !== undefined) query.set('after', from);
      const list = await this.list(`/v2/orders?${query.toString()}`);
      if (list === undefined) return undefined;
      const before = found.size;
      for (const order of list.items) found.set(textOf(order.value, 'id'), order);
      const last = list.items.at(-1);
      if (list.items.length < PAGE_ORDERS || last === undefined) return [...found.values()];
      // `after` is exclusive: orders of one instant could hide behind it, so a page overlaps by a millisecond.
      const lastAt = Date.parse(textOf(last.value, 'submitted_at'));
      if (Number.isNaN(lastAt)) return undefined;
      from = new Date(lastAt - 1).toISOString();
      if (found.size === before) return [...found.values()];
    }
    return undefined;
  }

  /** FILL activities in the order of their time. */
  async fills(after: string): Promise<readonly Mirrored[] | undefined> {
    const found: Mirrored[] = [];
    for (let page = 0; page < PAGES_MAX; page += 1) {
      const query = new URLSearchParams({ direction: 'asc', page_size: String(PAGE_FILLS), after });
      const last = found.at(-1);
      if (last !== undefined) query.set('page_token', textOf(last.value, 'id'));
      const list = await this.list(`/v2/account/activities/FILL?${query.toString()}`);
      if (list === undefined) return undefined;
      found.push(...list.items);
      if (list.items.length < PAGE_FILLS) return found;
    }
    return undefined;
  }
}
