/**
 * The programs of the exposure model, over real HTTP: each on an account of its own at a gateway of two workers, all at
 * once, with the simulated broker in another process. Its executions and orders are the oracle.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { VenueOrder } from '../../src/simulator/control/venue-order.js';
import type { Switch } from '../../src/simulator/faults/fault.js';
import { byName } from '../simulation/exposure/book-broker.js';
import { exposureProgram, type Act, type ExposureProgram } from '../simulation/exposure/exposure-program.js';
import { callerOf, type Caller, type Sent } from './gateway-orders.js';
import { eventually, startGateway, type GatewayProcess } from './gateway-process.js';

/** What the simulator lists of the model's instruments. */
const SYMBOLS: ReadonlySet<string> = new Set(['AAPL', 'MSFT', 'SOL/USD']);
/** Most of the orders of a program would be refused by what it holds in the model. */
const HELD_TIMES = 4;
const QUIET_MS = 90_000;
const TERMINAL: ReadonlySet<string> = new Set(['filled', 'canceled', 'expired', 'replaced', 'rejected']);
const RULE_NAMES: Readonly<Record<string, string>> = {
  noShort: 'no_short',
  maxOpenOrders: 'max_open_orders',
  maxOrderNotional: 'max_order_notional',
  maxOrderQty: 'max_order_qty',
  maxOrdersPerMinute: 'max_orders_per_minute',
  duplicateWindowMs: 'duplicate_window_ms',
  denySymbols: 'deny_symbols',
};

interface Asked {
  readonly ownId: string;
  readonly answers: Sent[];
  readonly order: Readonly<Record<string, unknown>>;
  readonly key: string | undefined;
  times: number;
}

export interface ProgramVerdict {
  readonly seed: number;
  readonly wrong: readonly string[];
  readonly orders: number;
}

/** Runs the programs of these seeds. @returns what was wrong of each; nothing where all held */
export async function runOverHttp(seeds: readonly number[]): Promise<readonly ProgramVerdict[]> {
  const programs = seeds.map(exposureProgram);
  const gateway = await startGateway({
    accounts: programs.length,
    workers: 2,
    simulator: ['--rate', '100000', '--cash', '10000000'],
    config: {
      cluster: { warm_spare: true },
      alpaca: { rate_limit_per_minute: 100_000 },
      orders: { quarantine_after_ms: 5_000, answer_deadline_ms: 2_000 },
    },
    editConfig: (config) => {
      const accounts = config['trading_accounts'] as readonly { readonly account_id: string }[];
      const rules = accounts.map(({ account_id: id }, index) => [id, rulesOf(programs[index])]);
      config['risk'] = { accounts: Object.fromEntries(rules) as unknown };
    },
  });
  try {
    const runs = programs.map((program, index) => new HttpProgram(gateway, program, gateway.accountIds[index] ?? ''));
    for (const run of runs) await run.prepare();
    const call = await callerOf(gateway);
    await gateway.simulator.control.behave({ eventDelayMs: 100, positionsLagMs: 800, partialFillProbability: 0.3 });
    await gateway.simulator.control.switchOn(FAULTS);
    await Promise.all(runs.map((run) => run.run(call)));
    await gateway.simulator.control.switchOff();
    await gateway.simulator.control.behave({ eventDelayMs: 0, positionsLagMs: 0 });
    await eventually(() => isCalm(gateway, programs.length), 'every order has an outcome', QUIET_MS);
    return await Promise.all(runs.map((run) => run.verdict()));
  } finally {
    await gateway.stop();
  }
}

const FAULTS: readonly Switch[] = [
  { fault: { kind: 'answer-lost', how: '504' }, method: 'POST', path: '/v2/orders', probability: 0.08 },
  { fault: { kind: 'answer-lost', how: 'reset', when: 'before' }, path: '/v2/orders*', probability: 0.04 },
  { fault: { kind: 'lookup-lag', ms: 800 }, method: 'POST', probability: 0.2 },
  { fault: { kind: 'status', status: 401, message: 'unauthorized.' }, path: '/v2/*', probability: 0.01 },
  { fault: { kind: 'stream-duplicate' }, probability: 0.2 },
  { fault: { kind: 'stream-lose' }, probability: 0.05 },
];

async function isCalm(gateway: GatewayProcess, accounts: number): Promise<boolean> {
  const pool = (await gateway.pool().catch(() => undefined)) as
    { readonly accounts: readonly { readonly state: string; readonly open_unknown: number }[] } | undefined;
  if (pool?.accounts.length !== accounts) return false;
  return pool.accounts.every(({ state, open_unknown: unknown }) => state === 'ready' && unknown === 0);
}

function rulesOf(program: ExposureProgram | undefined): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(program?.rules ?? {}).map(([name, value]) => [RULE_NAMES[name], value]));
}

/** Under a name that the simulator lists: asset ids of the model are its own, and it has no such contract. */
function asListed(name: string): Readonly<Record<string, unknown>> {
  const symbol = byName(name)?.symbol ?? name;
  const listed = SYMBOLS.has(symbol) ? symbol : 'AAPL';
  return { symbol: listed, ...(listed.includes('/') && { time_in_force: 'gtc' }) };
}

function timeOf(order: VenueOrder, member: string): number {
  const at = order[member];
  return typeof at === 'string' ? Date.parse(at) : Number.NaN;
}

/** When it ended at the broker; never, for one that works. */
function endOf(order: VenueOrder): number {
  const ends = ['filled_at', 'canceled_at', 'expired_at', 'replaced_at', 'failed_at'].map((name) =>
    timeOf(order, name),
  );
  return Math.min(Infinity, ...ends.filter((at) => !Number.isNaN(at)));
}

class HttpProgram {
  readonly #asked: Asked[] = [];
  readonly #running: Promise<unknown>[] = [];

  constructor(
    private readonly gateway: GatewayProcess,
    private readonly program: ExposureProgram,
    private readonly accountId: string,
  ) {}

  async prepare(): Promise<void> {
    for (const [symbol, qty] of Object.entries(this.program.held))
      if (SYMBOLS.has(symbol)) await this.#control.setPosition(this.#venueId, symbol, String(qty * HELD_TIMES), '100');
  }

  async run(call: Caller): Promise<void> {
    let now = 0;
    for (const { atMs, act } of this.program.steps) {
      await sleep(atMs - now);
      now = atMs;
      const acting = this.#do(act, call);
      acting.catch(() => undefined);
      this.#running.push(acting);
    }
    await Promise.allSettled(this.#running);
  }

  async verdict(): Promise<ProgramVerdict> {
    const orders = await this.#control.orders({ accountId: this.#venueId });
    const wrong = [
      ...(await this.#positionsWrong()),
      ...this.#limitsWrong(orders),
      ...this.#openWrong(orders),
      ...this.#answersWrong(orders),
    ];
    return { seed: this.program.seed, wrong, orders: orders.length };
  }

  get #control(): GatewayProcess['simulator']['control'] {
    return this.gateway.simulator.control;
  }

  get #venueId(): string {
    return this.accountId;
  }

  async #do(act: Act, call: Caller): Promise<void> {
    const base = `/accounts/${this.accountId}`;
    switch (act.kind) {
      case 'submit':
        await this.#submit(act.order, act.key, call);
        return;
      case 'repeat': {
        const asked = this.#asked[act.of];
        if (asked !== undefined) await this.#ask(asked, call);
        return;
      }
      case 'close': {
        const name = byName(act.name)?.assetId === act.name ? String(asListed(act.name)['symbol']) : act.name;
        const query = act.percentage === undefined ? act.qty && `qty=${act.qty}` : `percentage=${act.percentage}`;
        const key = act.key === undefined ? {} : { 'idempotency-key': act.key };
        await call('DELETE', `${base}/positions/${encodeURIComponent(name)}?${query ?? ''}`, undefined, key);
        return;
      }
      case 'close-all':
        await call('DELETE', `${base}/positions?cancel_orders=${act.cancelOrders}`);
        return;
      case 'cancel': {
        const asked = this.#asked[act.of];
        if (asked !== undefined) await call('DELETE', `${base}/orders/by-client-order-id/${asked.ownId}`);
        return;
      }
      case 'replace': {
        const asked = this.#asked[act.of];
        if (asked === undefined) return;
        const changes = { ...(act.qty && { qty: act.qty }), ...(act.limitPrice && { limit_price: act.limitPrice }) };
        await call('PATCH', `${base}/orders/by-client-order-id/${asked.ownId}`, changes);
        return;
      }
      case 'outside-fill':
      case 'outside-cancel':
      case 'outside-expire':
        await this.#outside(act);
        return;
      case 'takeover':
        // One in eight: a death concerns every program, and a worker that dies all the time trades nothing.
        if (this.program.seed % 8 === 0)
          await this.gateway.signalWorker(this.program.seed % 2, 'SIGKILL').catch(() => undefined);
        return;
      case 'reducing':
      case 'active': {
        const action = act.kind === 'reducing' ? 'halt' : 'resume';
        const body = act.kind === 'reducing' ? { reason: 'program', state: 'REDUCING' } : { reason: 'program' };
        await call('POST', `/admin${base}/${action}`, body);
        return;
      }
      // Positions that change without an order would hide what an order did to them.
      case 'outside-buy':
      case 'outside-order':
      case 'split':
        return;
    }
  }

  async #submit(order: Readonly<Record<string, unknown>>, key: string | undefined, call: Caller): Promise<void> {
    const ownId = `own-${this.program.seed}-${this.#asked.length}`;
    const placed = { ...order, ...asListed(String(order['symbol'])), client_order_id: ownId };
    const asked: Asked = { ownId, key, answers: [], times: 0, order: placed };
    this.#asked.push(asked);
    await this.#ask(asked, call);
  }

  async #ask(asked: Asked, call: Caller): Promise<void> {
    asked.times += 1;
    const headers = asked.key === undefined ? {} : { 'idempotency-key': asked.key };
    asked.answers.push(await call('POST', `/accounts/${this.accountId}/orders/stocks`, asked.order, headers));
  }

  async #outside(act: Extract<Act, { readonly pick: number }>): Promise<void> {
    const orders = await this.#control.orders({ accountId: this.#venueId });
    const working = orders.filter(({ status }) => !TERMINAL.has(status) && status !== 'held');
    const order = working[act.pick % Math.max(1, working.length)];
    if (order === undefined) return;
    if (act.kind === 'outside-fill') await this.#control.fill(order.id, { qty: '1' });
    else if (act.kind === 'outside-cancel') await this.#control.cancel(order.id);
    else await this.#control.expire(order.id);
  }

  /** After each execution: without `no_short` sells may go below zero, closes alone never do. */
  async #positionsWrong(): Promise<readonly string[]> {
    const wrong: string[] = [];
    if (this.program.rules.noShort !== true) return wrong;
    const held = new Map(Object.entries(this.program.held).map(([symbol, qty]) => [symbol, qty * HELD_TIMES]));
    for (const { clientOrderId, symbol, side, qty } of await this.#control.executions(this.#venueId)) {
      const after = Number(((held.get(symbol) ?? 0) + (side === 'buy' ? 1 : -1) * Number(qty)).toFixed(9));
      held.set(symbol, after);
      if (after < 0) wrong.push(`no_short: ${clientOrderId} took ${symbol} to ${after}`);
    }
    return wrong;
  }

  #limitsWrong(orders: readonly VenueOrder[]): readonly string[] {
    const { maxOrderQty, maxOrderNotional, denySymbols } = this.program.rules;
    const wrong: string[] = [];
    const seen = new Set<string>();
    for (const order of orders) {
      const { client_order_id: clientOrderId, symbol, side } = order;
      const [qty, limit] = [Number(order['qty'] ?? 0), Number(order['limit_price'] ?? 0)];
      if (seen.has(clientOrderId)) wrong.push(`${clientOrderId} stands twice at the broker`);
      seen.add(clientOrderId);
      if (!clientOrderId.startsWith('own-')) continue;
      if (maxOrderQty !== undefined && qty > Number(maxOrderQty))
        wrong.push(`max_order_qty: ${clientOrderId} of ${qty}`);
      const value = side === 'buy' ? qty * limit : 0;
      if (maxOrderNotional !== undefined && value > Number(maxOrderNotional))
        wrong.push(`max_order_notional: ${clientOrderId} is worth ${value}`);
      if (denySymbols !== undefined && symbol === 'MSFT') wrong.push(`deny_symbols: ${clientOrderId}`);
    }
    return wrong;
  }

  /** Orders that worked at the broker when another one arrived. Replacements and closes are not refused by this limit. */
  #openWrong(orders: readonly VenueOrder[]): readonly string[] {
    const { maxOpenOrders } = this.program.rules;
    if (maxOpenOrders === undefined) return [];
    const own = orders.filter(({ client_order_id: id }) => id.startsWith('own-'));
    return own.flatMap((order) => {
      const arrivedAt = timeOf(order, 'submitted_at');
      const beside = own.filter((one) => timeOf(one, 'submitted_at') < arrivedAt && endOf(one) > arrivedAt).length;
      return beside < maxOpenOrders ? [] : [`max_open_orders: ${order.client_order_id} beside ${beside}`];
    });
  }

  #answersWrong(orders: readonly VenueOrder[]): readonly string[] {
    const wrong: string[] = [];
    for (const { ownId, answers, times } of this.#asked) {
      const order = orders.find(({ client_order_id: id }) => id === ownId);
      for (const { status, json } of answers) {
        const code = typeof json['code'] === 'string' ? json['code'] : '';
        if (status === 201 && json['id'] !== order?.id) wrong.push(`${ownId} was answered 201 and is not that order`);
        const isRefusal = code === 'order-not-sent' || code === 'risk-denied' || code === 'trading-halted';
        const isUntrue = code === 'venue-rejected' || (isRefusal && times === 1);
        if (isUntrue && order !== undefined && order.status !== 'rejected')
          wrong.push(`${ownId} was answered ${code} and stands at the broker`);
      }
    }
    return wrong;
  }
}
