/**
 * What a finished run is held against: the broker's own book and executions. Each check returns what is wrong, with the
 * account it concerns; nothing is judged by the gateway's own opinion of itself.
 */
import type { GatewayProcess } from '../gateway-process.js';
import { Caller } from '../simulator-caller.js';
import type { VenueOrder } from '../../../src/simulator/control/venue-order.js';
import type { StreamEvent } from './stream-events.js';
import type { Placed, ProgramRun } from './run.js';

export interface Violation {
  readonly account: number;
  readonly what: string;
}

export interface Book {
  readonly orders: readonly VenueOrder[];
  readonly byClientId: ReadonlyMap<string, readonly VenueOrder[]>;
  readonly byId: ReadonlyMap<string, VenueOrder>;
}

const ENDS = new Set(['canceled', 'expired', 'replaced', 'rejected', 'done_for_day', 'gone']);
const ASKED_FIELDS = ['symbol', 'qty', 'side', 'type', 'limit_price', 'time_in_force'];

export async function readBook(gateway: GatewayProcess): Promise<Book> {
  const orders = await gateway.simulator.control.orders();
  const byClientId = new Map<string, VenueOrder[]>();
  for (const order of orders) {
    const key = `${order.account_id} ${order.client_order_id}`;
    byClientId.set(key, [...(byClientId.get(key) ?? []), order]);
  }
  return { orders, byClientId, byId: new Map(orders.map((order) => [order.id, order])) };
}

/** Acknowledged orders exist as they were asked for, refused ones do not, none exists twice. */
export function untrueAnswers(run: ProgramRun, book: Book): readonly Violation[] {
  return [...run.placed.flat().flatMap((placed) => judgePlaced(run, placed, book)), ...judgeAsked(run, book)];
}

function judgePlaced(run: ProgramRun, placed: Placed, book: Book): readonly Violation[] {
  const { account, order, answers } = placed;
  const wrong = (what: string): Violation => ({ account, what: `${String(order['client_order_id'])}: ${what}` });
  const found = book.byClientId.get(`${run.accountId(account)} ${String(order['client_order_id'])}`) ?? [];
  const violations: Violation[] = [];
  if (found.length > 1) violations.push(wrong(`stands ${found.length} times at the broker`));
  const acked = answers.filter(({ status }) => status === 201);
  for (const { body } of acked) {
    const atBroker = book.byId.get(String(body['id']));
    if (atBroker === undefined) violations.push(wrong(`acknowledged as ${String(body['id'])}, which does not exist`));
    else if (!isAsked(order, atBroker)) violations.push(wrong('acknowledged by an order that was not asked for'));
  }
  if (new Set(acked.map(({ body }) => body['id'])).size > 1) violations.push(wrong('acknowledged under two ids'));
  const last = answers.at(-1);
  const isRefused = last !== undefined && (last.status === 400 || last.status === 403 || last.status === 422);
  if (isRefused && found.length > 0 && acked.length === 0 && last.code !== 'idempotency-key-reused')
    violations.push(wrong(`refused with ${last.status} ${last.code ?? ''}, and it stands at the broker`));
  const isUnsent = last?.code === 'order-not-sent';
  if (isUnsent && found.length > 0) violations.push(wrong('answered order-not-sent, and it stands at the broker'));
  return violations;
}

function isAsked(asked: Readonly<Record<string, unknown>>, order: VenueOrder): boolean {
  return ASKED_FIELDS.every((field) => {
    const [wanted, got] = [asked[field], order[field]];
    if (wanted === undefined) return true;
    const [left, right] = [Number(wanted), Number(got)];
    if (!Number.isNaN(left) && !Number.isNaN(right)) return left === right;
    return textOf(wanted).replace('/', '').toLowerCase() === textOf(got).replace('/', '').toLowerCase();
  });
}

function judgeAsked(run: ProgramRun, book: Book): readonly Violation[] {
  return run.asked.flatMap(({ account, act, target, answer }): readonly Violation[] => {
    const wrong = (what: string): readonly Violation[] => [{ account, what: `${JSON.stringify(act)}: ${what}` }];
    if (act.kind === 'cancel' && answer.status === 204) {
      const { status = 'missing' } = book.byId.get(target ?? '') ?? {};
      const isOver = ['canceled', 'filled', 'expired', 'replaced', 'rejected', 'pending_cancel'].includes(status);
      return isOver ? [] : wrong(`answered 204, and ${target ?? ''} is ${status}`);
    }
    if (act.kind === 'replace' && answer.status === 200) {
      const made = book.byId.get(String(answer.body['id']));
      if (made === undefined) return wrong(`acknowledged by ${String(answer.body['id'])}, which does not exist`);
      return made['replaces'] === target
        ? []
        : wrong(`acknowledged by an order that replaces ${String(made['replaces'])}`);
    }
    if (act.kind === 'close' && answer.status === 201) {
      const made = book.byId.get(String(answer.body['id']));
      return made?.['side'] === 'sell' ? [] : wrong(`a long position was closed by ${JSON.stringify(made)}`);
    }
    return [];
  });
}

/** No program of ours sells more than it holds, so no account may end short. */
export async function shortPositions(gateway: GatewayProcess, run: ProgramRun): Promise<readonly Violation[]> {
  const violations: Violation[] = [];
  for (const [account, accountId] of gateway.accountIds.entries()) {
    const positions = (await brokerOf(gateway, accountId).get('/v2/positions')).body as {
      symbol: string;
      qty: string;
    }[];
    for (const { symbol, qty } of positions)
      if (Number(qty) < 0) violations.push({ account, what: `${run.accountId(account)} is short ${qty} ${symbol}` });
  }
  return violations;
}

/** Fills of an order, published and in the trail, add up to what the broker filled; each end is published once. */
export function unpublished(
  gateway: GatewayProcess,
  book: Book,
  events: readonly StreamEvent[],
  trail: ReadonlyMap<string, number>,
): readonly Violation[] {
  const violations: Violation[] = [];
  const ofOrder = new Map<string, StreamEvent[]>();
  for (const event of events) ofOrder.set(event.orderId, [...(ofOrder.get(event.orderId) ?? []), event]);
  for (const order of book.orders) {
    const account = gateway.accountIds.indexOf(order.account_id);
    const wrong = (what: string): number =>
      violations.push({ account, what: `${order.id} (${order.client_order_id}): ${what}` });
    const published = ofOrder.get(order.id) ?? [];
    const filled = Number(order['filled_qty']);
    const sum = published.reduce((total, { filledBy }) => total + filledBy, 0);
    if (!isClose(sum, filled)) wrong(`filled ${filled}, published ${sum}`);
    if (!isClose(trail.get(order.id) ?? 0, filled)) wrong(`filled ${filled}, in the trail ${trail.get(order.id) ?? 0}`);
    const ends = published.filter(({ event }) => ENDS.has(event));
    if (ENDS.has(order.status) && ends.length !== 1)
      wrong(`is ${order.status}, published ${ends.map(({ event }) => event).join(', ') || 'no end'}`);
    if (!ENDS.has(order.status) && ends.length > 0 && order.status !== 'pending_cancel')
      wrong(`is ${order.status}, published ${ends.map(({ event }) => event).join(', ')}`);
  }
  return violations;
}

function isClose(left: number, right: number): boolean {
  return Math.abs(left - right) < 1e-9;
}

const FILTERS = ['status=open', 'status=closed', 'status=all', 'status=all&side=buy', 'status=open&symbols=AAPL'];

/** Every filter and page of the gateway's lists says what the broker's says. */
export async function differingReads(gateway: GatewayProcess): Promise<readonly Violation[]> {
  const violations: Violation[] = [];
  for (const [account, accountId] of gateway.accountIds.entries()) {
    const broker = brokerOf(gateway, accountId);
    for (const filter of [...FILTERS, 'status=all&limit=3', 'status=open&limit=2&direction=asc']) {
      const [ours, theirs] = await Promise.all([
        gateway.get(`/accounts/${accountId}/orders?${filter}`).then((response) => response.json()),
        broker.get(`/v2/orders?${filter}`).then(({ body }) => body as unknown),
      ]);
      if (summary(ours) !== summary(theirs))
        violations.push({ account, what: `orders?${filter}: gateway ${summary(ours)}, broker ${summary(theirs)}` });
    }
    const [ours, theirs] = await Promise.all([
      gateway.get(`/accounts/${accountId}/positions?max_age=0`).then((response) => response.json()),
      broker.get('/v2/positions').then(({ body }) => body as unknown),
    ]);
    if (holdings(ours) !== holdings(theirs))
      violations.push({ account, what: `positions: gateway ${holdings(ours)}, broker ${holdings(theirs)}` });
  }
  return violations;
}

function summary(list: unknown): string {
  if (!Array.isArray(list)) return JSON.stringify(list);
  return (list as VenueOrder[])
    .map((order) => `${order.id.slice(0, 8)} ${order.status} ${String(order['filled_qty'])}`)
    .join('; ');
}

function holdings(list: unknown): string {
  if (!Array.isArray(list)) return JSON.stringify(list);
  const held = (list as { symbol: string; qty: string }[]).map(({ symbol, qty }) => `${symbol} ${Number(qty)}`);
  return held.sort().join('; ');
}

function brokerOf(gateway: GatewayProcess, accountId: string): Caller {
  const keys = gateway.simulator.accounts.find((one) => one.accountId === accountId);
  if (keys === undefined) throw new TypeError(`no account ${accountId}`);
  return new Caller(gateway.simulator.endpoints.trading, keys);
}

/** Requests of any account in any sixty seconds, over what the broker allows it. */
export async function overBudget(gateway: GatewayProcess, perMinute: number): Promise<readonly Violation[]> {
  const { entries } = await gateway.simulator.control.ledger({});
  return gateway.accountIds.flatMap((accountId, account): readonly Violation[] => {
    const times = entries
      .filter((entry) => entry.accountId === accountId && entry.path.startsWith('/v2/'))
      .map(({ at }) => at);
    const most = times.reduce(
      (max, at, first) => Math.max(max, times.slice(first).filter((t) => t < at + 60_000).length),
      0,
    );
    return most <= perMinute ? [] : [{ account, what: `${most} requests in a minute, ${perMinute} allowed` }];
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
