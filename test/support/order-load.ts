/**
 * Orders with Idempotency-Keys from callers that never give up: each asks with the same key until it is told the order.
 * Every order has a limit price of its own, so that the broker's book shows a duplicate even under another client id.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually, type GatewayProcess } from './gateway-process.js';

export interface KeyedOrder {
  readonly key: string;
  readonly accountId: string;
  readonly price: string;
  readonly startedAt: number;
  /** Status and problem code of every answer, 0 when the connection broke. */
  readonly answers: string[];
  /** The client order ids named to the caller. */
  readonly named: Set<string>;
  /** The body of the first 201. */
  text: string | undefined;
  settledMs: number | undefined;
}

export interface LoadVerdict {
  readonly orders: number;
  readonly atBroker: number;
  readonly duplicates: readonly string[];
  readonly lost: readonly string[];
  /** Told "not sent" or "rejected" for good about an order that is at the broker, or an order nobody was told about. */
  readonly lies: readonly string[];
  /** Acknowledged as unknown, and not at the broker. */
  readonly open: number;
}

/** Older than any age at which an order is still sent a second time: what is not at the broker stays unknown. */
const OPEN_AFTER_MS = 30_000;

/** Orders of other symbols are not this load's. */
const SYMBOL = 'AAPL';

export class OrderLoad {
  readonly orders: KeyedOrder[] = [];
  url: string;
  /** Where the next attempt goes: with several instances each may take any key. */
  nextUrl: () => string = () => this.url;
  /** Between a caller's orders. */
  pauseMs = 0;
  /** Every order has a price of its own, from here upwards. */
  firstPrice = 1;
  readonly #gateway: GatewayProcess;
  readonly #authorization: string;
  readonly #callers = new Set<Promise<void>>();
  #isOver = false;
  #hasGivenUp = false;

  private constructor(gateway: GatewayProcess, authorization: string) {
    this.#gateway = gateway;
    this.#authorization = authorization;
    this.url = gateway.url;
  }

  static async on(gateway: GatewayProcess): Promise<OrderLoad> {
    return new OrderLoad(gateway, `Bearer ${await gateway.token()}`);
  }

  /** So many callers, each with one order at a time; at most `limit` orders. */
  start(callers: number, limit = Infinity): void {
    for (let n = 0; n < callers; n += 1) this.#callers.add(this.#call(limit));
  }

  /** No new orders; those begun are asked for until they are told, or until nothing at the broker is untold. */
  async settle(withinMs = 90_000): Promise<void> {
    this.#isOver = true;
    await eventually(() => this.#allTold(), 'every order at the broker is told to its caller', withinMs).finally(() => {
      this.#hasGivenUp = true;
    });
    await Promise.all(this.#callers);
  }

  /** All callers have ended: every order is told. */
  async finish(withinMs = 90_000): Promise<void> {
    const timer = setTimeout(() => (this.#hasGivenUp = true), withinMs);
    await Promise.all(this.#callers);
    clearTimeout(timer);
  }

  /** Asks each told key once more: the stored answer must come back. Returns what differs. */
  async replayAll(): Promise<readonly string[]> {
    const wrong: string[] = [];
    for (const order of this.orders) {
      if (order.text === undefined) continue;
      const { status, text, isReplay } = await this.#ask(order);
      if (status !== 201 || text !== order.text || !isReplay) wrong.push(`${order.key} ${status} ${text}`);
    }
    return wrong;
  }

  async judge(): Promise<LoadVerdict> {
    const atBroker = await this.#byPrice();
    const names = new Map<string, readonly string[]>();
    for (const [place, ids] of atBroker) names.set(place, ids);
    const placeOf = ({ accountId, price }: KeyedOrder): string => `${accountId} ${price}`;
    const found = (order: KeyedOrder): readonly string[] => names.get(placeOf(order)) ?? [];
    const told = (order: KeyedOrder): string => `${placeOf(order)} ${order.key}: ${order.answers.slice(-6).join(', ')}`;
    return {
      orders: this.orders.length,
      atBroker: [...names.values()].reduce((sum, ids) => sum + ids.length, 0),
      duplicates: [...names].filter(([, ids]) => ids.length > 1).map(([place]) => place),
      lost: this.orders.filter((order) => order.text !== undefined && found(order).length === 0).map(told),
      lies: this.orders.filter((order) => found(order).length > 0 && isLie(order, found(order))).map(told),
      open: this.orders.filter((order) => found(order).length === 0 && order.answers.includes('202')).length,
    };
  }

  async #call(limit: number): Promise<void> {
    while (!this.#isOver && this.orders.length < limit) {
      const n = this.orders.length;
      const accountId = this.#gateway.accountIds[n % this.#gateway.accountIds.length] ?? '';
      const order: KeyedOrder = {
        ...{
          key: randomUUID(),
          accountId,
          price: (this.firstPrice + n / 100).toFixed(2),
          startedAt: performance.now(),
        },
        ...{ answers: [], named: new Set<string>(), text: undefined, settledMs: undefined },
      };
      this.orders.push(order);
      await this.#untilTold(order);
      if (this.pauseMs > 0) await sleep(this.pauseMs);
    }
  }

  async #untilTold(order: KeyedOrder): Promise<void> {
    while (!this.#hasGivenUp) {
      const { status, text, code, clientOrderId } = await this.#ask(order);
      order.answers.push(code === undefined ? String(status) : `${status} ${code}`);
      if (clientOrderId !== undefined) order.named.add(clientOrderId);
      if (status === 201) {
        order.text = text;
        order.settledMs = performance.now() - order.startedAt;
        return;
      }
      if (status === 400 || status === 403 || status === 422) return;
      await sleep(100);
    }
  }

  async #ask({ accountId, key, price }: KeyedOrder): Promise<{
    readonly status: number;
    readonly text: string;
    readonly code: string | undefined;
    readonly clientOrderId: string | undefined;
    readonly isReplay: boolean;
  }> {
    const order = { symbol: SYMBOL, qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: price };
    try {
      const response = await fetch(`${this.nextUrl()}/api/v1/accounts/${accountId}/orders/stocks`, {
        method: 'POST',
        headers: { authorization: this.#authorization, 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(order),
        signal: AbortSignal.timeout(30_000),
      });
      const text = await response.text();
      // A proxy of ours answers in its own words when it reached nobody.
      const isJson = response.headers.get('content-type')?.includes('json') === true;
      const json = (isJson ? JSON.parse(text) : {}) as { readonly code?: string; readonly client_order_id?: string };
      const isReplay = response.headers.get('idempotency-replayed') === 'true';
      return { status: response.status, text, code: json.code, clientOrderId: json.client_order_id, isReplay };
    } catch (cause) {
      const { code } = (cause as { readonly cause?: { readonly code?: string } }).cause ?? {};
      return { status: 0, text: '', code, clientOrderId: undefined, isReplay: false };
    }
  }

  async #allTold(): Promise<boolean> {
    const atBroker = await this.#byPrice();
    return this.orders.every(({ accountId, price, text, startedAt, answers }) => {
      if (text !== undefined) return true;
      const isOpen = performance.now() - startedAt > OPEN_AFTER_MS && answers.at(-1) === '202';
      return isOpen && !atBroker.has(`${accountId} ${price}`);
    });
  }

  async #byPrice(): Promise<Map<string, string[]>> {
    const found = new Map<string, string[]>();
    for (const order of await this.#gateway.simulator.control.orders()) {
      if (order['symbol'] !== SYMBOL) continue;
      const place = `${order['account_id']} ${Number(order['limit_price']).toFixed(2)}`;
      found.set(place, [...(found.get(place) ?? []), order['client_order_id']]);
    }
    return found;
  }
}

/** A final refusal, a second name for one order, or no word at all about an order that exists. */
function isLie(order: KeyedOrder, ids: readonly string[]): boolean {
  if (order.text === undefined || order.named.size > 1) return true;
  return [...order.named].some((name) => !ids.includes(name));
}

/** `p50 12 ms, p99 80 ms` */
export function percentiles(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number): string => String(Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0));
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`;
}

/** Figures of a chaos run, past jest's own console. */
export function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}
