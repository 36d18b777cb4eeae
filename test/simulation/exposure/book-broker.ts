/**
 * A broker with one account, positions and several names for one instrument, in virtual time. It loses requests and
 * answers, publishes before or after it answers, loses frames, and shows lists, look-ups and positions as they were.
 * Its book is the oracle: it is asked directly, never through the code under test.
 */
import type { BrokerCall, BrokerReply, TradeUpdate } from '../../../src/workers/accounts/account-session.js';
import type { SeededRandom } from '../seeded-random.js';
import type { VirtualTime } from '../virtual-time.js';

export interface BookFaults {
  /** Chances. */
  requestLoss: number;
  answerLoss: number;
  lateArrival: number;
  connectFailure: number;
  eventLoss: number;
  eventTwice: number;
  refusedCarriedOut: number;
  keysRefused: number;
  /** Milliseconds at most. */
  eventDelayMs: number;
  readLagMs: number;
}

export interface Row {
  readonly id: string;
  readonly clientOrderId: string;
  readonly symbol: string;
  readonly side: 'buy' | 'sell';
  readonly type: string;
  readonly qty: number;
  readonly limitPrice: string | undefined;
  readonly orderClass: string;
  readonly intent: string | undefined;
  readonly replaces: string | undefined;
  readonly arrivedAt: number;
  status: string;
  filled: number;
  replacedBy: string | undefined;
  /** The way out that the broker holds back until this one ends. */
  sibling: Row | undefined;
}

interface Past {
  readonly until: number;
  readonly rows: readonly Row[];
  readonly positions: ReadonlyMap<string, number>;
}

export interface Named {
  readonly symbol: string;
  readonly assetId: string;
  readonly assetClass: 'us_equity' | 'us_option' | 'crypto';
  readonly multiplier: number;
  readonly bid: number;
  readonly ask: number;
}

const uuid = (digit: string): string =>
  `${digit.repeat(8)}-${digit.repeat(4)}-4${digit.repeat(3)}-8${digit.repeat(3)}-${digit.repeat(12)}`;

export const INSTRUMENTS: readonly Named[] = [
  { symbol: 'AAPL', assetId: uuid('a'), assetClass: 'us_equity', multiplier: 1, bid: 99, ask: 101 },
  { symbol: 'MSFT', assetId: uuid('b'), assetClass: 'us_equity', multiplier: 1, bid: 199, ask: 201 },
  { symbol: 'SOL/USD', assetId: uuid('c'), assetClass: 'crypto', multiplier: 1, bid: 149, ask: 151 },
  { symbol: 'AAPL271217C00100000', assetId: uuid('d'), assetClass: 'us_option', multiplier: 100, bid: 4, ask: 5 },
];

export const TERMINAL: ReadonlySet<string> = new Set(['filled', 'canceled', 'expired', 'replaced', 'rejected']);

const OUTSIDE = 'outside-';

/** Not sent by the gateway: no rule of its own counts for it. */
export function isFromOutside({ clientOrderId }: Pick<Row, 'clientOrderId'>): boolean {
  return clientOrderId.startsWith(OUTSIDE);
}

export class BookBroker {
  readonly rows: Row[] = [];
  readonly positions = new Map<string, number>();
  /** Called for every order that arrives, before it counts, and after every execution. */
  onArrival: (row: Row) => void = () => undefined;
  onExecution: (row: Row, qty: number, before: number) => void = () => undefined;
  onUpdate: (update: TradeUpdate) => void = () => undefined;
  /** Frames that never came: a repair finds them. */
  readonly lost: TradeUpdate[] = [];
  #past: Past[] = [];
  #ids = 0;
  #executions = 0;
  keysWorkAgainAt = 0;
  /** Client order ids that were refused for what the order is. */
  readonly refused = new Set<string>();

  constructor(
    private readonly time: VirtualTime,
    private readonly random: SeededRandom,
    readonly faults: BookFaults,
  ) {}

  // --- the wire ---

  request(call: BrokerCall): Promise<BrokerReply> {
    const { faults, random } = this;
    return new Promise((resolve) => {
      const later = (ms: number, reply: BrokerReply): void => void this.time.at(ms, () => resolve(reply));
      if (random.chance(faults.connectFailure)) {
        later(2, { kind: 'not-sent', reason: 'connect', detail: 'refused' });
        return;
      }
      this.time.at(random.between(0, 20), () => {
        if (call.mayStillSend?.() === false) {
          resolve({ kind: 'not-sent', reason: 'forbidden', detail: '' });
          return;
        }
        if (random.chance(faults.requestLoss)) {
          if (random.chance(faults.lateArrival))
            this.time.at(random.between(100, 4_000), () => void this.#handle(call));
          later(random.between(5, 300), lost('reset'));
          return;
        }
        this.time.at(random.between(1, 40), () => {
          const reply = this.#handle(call);
          const isLost = random.chance(faults.answerLoss);
          later(random.between(0, 60), isLost ? lost('read') : reply);
        });
      });
    });
  }

  #handle({ method, path, body }: BrokerCall): BrokerReply {
    if (this.random.chance(this.faults.keysRefused))
      this.keysWorkAgainAt = this.time.now + this.random.between(50, 3_000);
    if (this.time.now < this.keysWorkAgainAt)
      return this.random.chance(0.5)
        ? answered(401, { message: 'unauthorized.' })
        : answered(403, { message: 'forbidden.' });
    const [where = '', query = ''] = path.split('?');
    const parsed = JSON.parse(body ?? '{}') as Record<string, unknown>;
    if (method === 'POST') {
      const reply = this.#submit(parsed);
      if (reply.kind === 'answered' && reply.status >= 400) this.refused.add(String(parsed['client_order_id']));
      return reply;
    }
    const orderId = /^\/v2\/orders\/(.+)$/.exec(where)?.[1];
    if (method === 'PATCH' && orderId !== undefined) return this.#replace(decodeURIComponent(orderId), parsed);
    if (method === 'DELETE') return this.#cancel(orderId === undefined ? undefined : decodeURIComponent(orderId));
    return this.#read(where, new URLSearchParams(query), orderId);
  }

  // --- orders ---

  #submit(body: Record<string, unknown>): BrokerReply {
    const found = byName(String(body['symbol']));
    if (found === undefined) return answered(422, { code: 42210000, message: 'asset not found' });
    const clientOrderId = String(body['client_order_id']);
    if (this.rows.some((row) => row.clientOrderId === clientOrderId))
      return answered(422, { code: 40010001, message: 'client_order_id must be unique' });
    const qty = Number(body['qty'] ?? round(Number(body['notional']) / found.bid));
    const [side, intent] = [body['side'] as 'buy' | 'sell', body['position_intent'] as string | undefined];
    const held = this.positions.get(found.symbol) ?? 0;
    // The check of the intent is documented for options alone.
    if (found.assetClass === 'us_option' && intent === 'sell_to_close' && qty > held)
      return answered(403, { code: 40310000, message: 'position intent mismatch' });
    const row = this.#row(body, { symbol: found.symbol, clientOrderId, side, qty, intent });
    if (row.orderClass === 'oco') row.sibling = this.#heldBack(row);
    this.#enter(row, 'new');
    if (row.type === 'market') this.time.at(this.random.between(5, 400), () => this.#fillPart(row));
    return answered(200, view(row));
  }

  #row(
    body: Record<string, unknown>,
    own: {
      symbol: string;
      clientOrderId: string;
      side: 'buy' | 'sell';
      qty: number;
      intent: string | undefined;
      replaces?: string;
    },
  ): Row {
    this.#remember();
    const row: Row = {
      ...{ replaces: undefined, ...own, id: uuidOf((this.#ids += 1)), type: String(body['type']) },
      limitPrice: body['limit_price'] === undefined ? undefined : textOf(body['limit_price']),
      orderClass: textOf(body['order_class']),
      ...{ arrivedAt: this.time.now, status: 'accepted', filled: 0, replacedBy: undefined, sibling: undefined },
    };
    if (!isFromOutside(row)) this.onArrival(row);
    this.rows.push(row);
    return row;
  }

  #heldBack(row: Row): Row {
    const id = uuidOf((this.#ids += 1));
    const sibling: Row = {
      ...row,
      id,
      clientOrderId: `child-${id}`,
      type: 'stop',
      orderClass: '',
      status: 'held',
      sibling: undefined,
    };
    this.rows.push(sibling);
    return sibling;
  }

  #replace(id: string, changes: Record<string, unknown>): BrokerReply {
    const row = this.rows.find((one) => one.id === id);
    if (row === undefined) return answered(404, { code: 40410000, message: 'order not found' });
    if (TERMINAL.has(row.status)) return answered(422, { code: 42210000, message: 'order is not open' });
    const clientOrderId = String(changes['client_order_id']);
    if (this.rows.some((one) => one.clientOrderId === clientOrderId))
      return answered(422, { code: 40010001, message: 'client_order_id must be unique' });
    const body = { type: row.type, order_class: row.orderClass, limit_price: changes['limit_price'] ?? row.limitPrice };
    const { symbol, side, intent } = row;
    const qty = changes['qty'] === undefined ? row.qty : Number(changes['qty']);
    this.#remember();
    row.status = 'replaced';
    const next = this.#row(body, { symbol, side, intent, clientOrderId, qty, replaces: row.id });
    next.filled = row.filled;
    next.sibling = row.sibling;
    row.replacedBy = next.id;
    this.#publish('replaced', row);
    this.#publish('new', next);
    next.status = 'new';
    const isRefused = this.random.chance(this.faults.refusedCarriedOut);
    return isRefused ? answered(422, { code: 42210000, message: 'cannot replace' }) : answered(200, view(next));
  }

  #cancel(id: string | undefined): BrokerReply {
    const open = this.rows.filter((row) => (id === undefined || row.id === id) && !TERMINAL.has(row.status));
    if (id !== undefined && open.length === 0)
      return answered(422, { code: 42210000, message: 'order is not cancelable' });
    for (const row of open) this.time.at(this.random.between(0, 200), () => this.end(row, 'canceled'));
    return id === undefined
      ? answered(
          207,
          open.map((row) => ({ id: row.id, status: 200 })),
        )
      : answered(204, undefined);
  }

  #enter(row: Row, status: string): void {
    this.#remember();
    row.status = status;
    this.#publish(status, row);
  }

  end(row: Row, status: string): void {
    if (TERMINAL.has(row.status)) return;
    this.#enter(row, status);
    if (row.sibling !== undefined && !TERMINAL.has(row.sibling.status)) this.#enter(row.sibling, 'canceled');
  }

  #fillPart(row: Row): void {
    if (TERMINAL.has(row.status)) return;
    const left = row.qty - row.filled;
    const qty = left > 1 && this.random.chance(0.3) ? Math.ceil(left / 2) : left;
    this.fill(row, qty);
    if (row.filled < row.qty) this.time.at(this.random.between(5, 1_500), () => this.#fillPart(row));
  }

  fill(row: Row, qty: number): void {
    const size = Math.min(qty, row.qty - row.filled);
    if (TERMINAL.has(row.status) || row.status === 'held' || size <= 0) return;
    this.#remember();
    const before = this.positions.get(row.symbol) ?? 0;
    const after = round(before + (row.side === 'buy' ? size : -size));
    row.filled = round(row.filled + size);
    row.status = row.filled >= row.qty ? 'filled' : 'partially_filled';
    if (after === 0) this.positions.delete(row.symbol);
    else this.positions.set(row.symbol, after);
    this.onExecution(row, size, before);
    this.#executions += 1;
    const extra = { execution_id: `x${this.#executions}`, qty: String(size), price: '1', position_qty: String(after) };
    this.#publish(row.status === 'filled' ? 'fill' : 'partial_fill', row, extra);
    if (row.status === 'filled' && row.sibling !== undefined) this.#enter(row.sibling, 'canceled');
  }

  /** By another program with the same keys. It rests far below the market. */
  enterOutside(symbol: string): void {
    const clientOrderId = `${OUTSIDE}${this.rows.length}`;
    const body = { type: 'limit', limit_price: '1' };
    this.#enter(this.#row(body, { symbol, clientOrderId, side: 'buy', qty: 1, intent: undefined }), 'new');
  }

  /** A split: no event is published. */
  multiplyPosition(symbol: string, factor: number): void {
    const held = this.positions.get(symbol);
    if (held === undefined) return;
    this.#remember();
    this.positions.set(symbol, held * factor);
  }

  #publish(event: string, row: Row, extra: Record<string, unknown> = {}): void {
    const timestamp = stampOf(this.time.now);
    const order = view(row);
    const data = JSON.stringify({ event, timestamp, ...extra, order });
    const executionId = extra['execution_id'];
    const update: TradeUpdate = {
      ...{ event, timestamp, data, order, reconciled: false },
      ...(typeof executionId === 'string' && { executionId }),
    };
    if (this.random.chance(this.faults.eventLoss)) {
      this.lost.push(update);
      return;
    }
    const times = this.random.chance(this.faults.eventTwice) ? 2 : 1;
    // A stream that is opened later gets nothing of before.
    const deliver = this.onUpdate;
    for (let n = 0; n < times; n += 1)
      this.time.at(this.random.between(0, this.faults.eventDelayMs), () => deliver(update));
  }

  // --- reads ---

  viewOf(row: Row): Record<string, unknown> {
    return view(row);
  }

  positionsNow(): readonly Record<string, unknown>[] {
    return [...this.positions].map((one) => positionView(one, this.rows));
  }

  #read(where: string, query: URLSearchParams, orderId: string | undefined): BrokerReply {
    const { rows, positions } = this.#asOf(this.random.between(0, this.faults.readLagMs));
    const one = (row: Row | undefined): BrokerReply =>
      row === undefined ? answered(404, { code: 40410000, message: 'order not found' }) : answered(200, view(row));
    if (orderId !== undefined) return one(rows.find((row) => row.id === decodeURIComponent(orderId)));
    if (where === '/v2/orders:by_client_order_id')
      return one(rows.find((row) => row.clientOrderId === query.get('client_order_id')));
    if (where === '/v2/orders') {
      const isOpen = query.get('status') !== 'all';
      const shown = rows.filter((row) => !isOpen || !TERMINAL.has(row.status));
      return answered(200, shown.map(view).slice(0, 500));
    }
    if (where === '/v2/positions')
      return answered(
        200,
        [...positions].map((one) => positionView(one, rows)),
      );
    const position = /^\/v2\/positions\/(.+)$/.exec(where)?.[1];
    if (position !== undefined) {
      const symbol = byName(decodeURIComponent(position))?.symbol ?? '';
      const qty = positions.get(symbol);
      return qty === undefined
        ? answered(404, { code: 40410000, message: 'position does not exist' })
        : answered(200, positionView([symbol, qty], rows));
    }
    const named = byName(decodeURIComponent(where.split('/').at(-1) ?? ''));
    if (named === undefined) return answered(404, { code: 40410000, message: 'not found' });
    const { symbol, assetId, assetClass } = named;
    const isContract = assetClass === 'us_option';
    if (where.startsWith('/v2/assets/') && !isContract)
      return answered(200, { id: assetId, symbol, class: assetClass });
    if (where.startsWith('/v2/options/contracts/') && isContract)
      return answered(200, { id: assetId, symbol, underlying_symbol: 'AAPL', multiplier: '100' });
    return answered(404, { code: 40410000, message: 'not found' });
  }

  #remember(): void {
    const { now } = this.time;
    this.#past = this.#past.filter(({ until }) => until > now - 10_000);
    this.#past.push({ until: now, rows: this.rows.map((row) => ({ ...row })), positions: new Map(this.positions) });
  }

  #asOf(lagMs: number): { readonly rows: readonly Row[]; readonly positions: ReadonlyMap<string, number> } {
    return this.#past.find(({ until }) => until > this.time.now - lagMs) ?? this;
  }
}

export function byName(name: string): Named | undefined {
  const plain = name.toUpperCase().replace('/', '');
  return INSTRUMENTS.find(({ symbol, assetId }) => symbol.replace('/', '') === plain || assetId === name.toLowerCase());
}

/** Fractions of pairs stay decimal numbers that print. */
export function round(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}

function view(row: Row): Record<string, unknown> {
  return {
    ...{ id: row.id, client_order_id: row.clientOrderId, symbol: row.symbol, side: row.side, type: row.type },
    ...{ qty: String(row.qty), filled_qty: String(row.filled), status: row.status, time_in_force: 'day' },
    ...{ limit_price: row.limitPrice ?? null, replaces: row.replaces ?? null, replaced_by: row.replacedBy ?? null },
    order_class: row.orderClass,
  };
}

function positionView([symbol, qty]: readonly [string, number], rows: readonly Row[]): Record<string, unknown> {
  const held = rows
    .filter(
      (row) =>
        row.symbol === symbol &&
        row.side === (qty > 0 ? 'sell' : 'buy') &&
        !TERMINAL.has(row.status) &&
        row.status !== 'held',
    )
    .reduce((sum, row) => sum + row.qty - row.filled, 0);
  const free = Math.max(0, Math.abs(qty) - held) * Math.sign(qty);
  const { assetId, assetClass, bid } = byName(symbol) ?? { assetId: '', assetClass: '', bid: 0 };
  return {
    ...{ symbol: symbol.replace('/', ''), asset_id: assetId, asset_class: assetClass },
    ...{ qty: String(qty), qty_available: String(round(free)), current_price: String(bid) },
  };
}

/** With the digits below a millisecond. */
function stampOf(ms: number): string {
  const seconds = new Date(Date.UTC(2026, 0, 5, 15) + Math.floor(ms)).toISOString().slice(0, 23);
  return `${seconds}${String(Math.floor((ms % 1) * 1e6)).padStart(6, '0')}Z`;
}

function uuidOf(n: number): string {
  return `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
}

function lost(detail: string): BrokerReply {
  return { kind: 'ambiguous', detail, upstreamMs: 1 };
}

function answered(status: number, value: unknown): BrokerReply {
  const body = new TextEncoder().encode(value === undefined ? '' : JSON.stringify(value));
  return { kind: 'answered', status, headers: {}, body, upstreamMs: 1 };
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}
