/** The broker: one truth, behind a network that loses, delays, doubles and garbles. Its ledger is the oracle. */
import type { BrokerCall, BrokerReply, TradeUpdate } from '../../src/workers/accounts/account-session.js';
import type { SeededRandom } from './seeded-random.js';
import type { SwarmOptions } from './swarm-options.js';
import type { VirtualTime } from './virtual-time.js';

export interface VenueOrder extends Record<string, unknown> {
  readonly id: string;
  readonly client_order_id: string;
  readonly limit_price: string;
  readonly qty: string;
  filled_qty: string;
  status: string;
}

export interface Execution {
  readonly id: string;
  readonly update: TradeUpdate;
}

/** One POST as it arrived, whatever was made of it. */
export interface Arrival {
  readonly accountId: string;
  readonly clientOrderId: string;
  readonly tag: string;
  readonly epoch: number;
  readonly sentAt: number;
}

export type Faults = { -readonly [Name in keyof SwarmOptions]: SwarmOptions[Name] };

const HANG_MS = 10_000;

export class VirtualVenue {
  readonly orders = new Map<string, VenueOrder>();
  readonly executions = new Map<string, Execution[]>();
  readonly arrivals: Arrival[] = [];
  /** Every POST that may have reached the broker as far as its sender can know. */
  readonly sent: Arrival[] = [];
  /** POSTs on the wire that may still arrive. */
  readonly onTheWire = new Set<string>();
  readonly #shownFrom = new Map<string, number>();
  readonly #listeners = new Map<string, Set<(update: TradeUpdate) => void>>();
  #ids = 0;

  constructor(
    private readonly time: VirtualTime,
    private readonly random: SeededRandom,
    readonly faults: Faults,
    private readonly onArrival: (arrival: Arrival) => void,
  ) {}

  listen(accountId: string, listener: (update: TradeUpdate) => void): () => void {
    const listeners = this.#listeners.get(accountId) ?? new Set();
    this.#listeners.set(accountId, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  get orderCount(): number {
    return this.orders.size;
  }

  ordersOf(accountId: string): readonly VenueOrder[] {
    return [...this.orders].filter(([key]) => key.startsWith(`${accountId}/`)).map(([, order]) => order);
  }

  /** Resolves as the wire would; a reply to a dead process is its caller's business. */
  request(accountId: string, epoch: number, call: BrokerCall): Promise<BrokerReply> {
    return call.method === 'POST' ? this.#post(accountId, epoch, call) : this.#read(accountId, call);
  }

  #delay(): number {
    if (this.random.chance(this.faults.clog)) return 5_000;
    return this.random.between(0.2, 2) * this.faults.delayMs;
  }

  #after(ms: number, reply: () => BrokerReply): Promise<BrokerReply> {
    return new Promise((resolve) => {
      this.time.at(ms, () => resolve(reply()));
    });
  }

  #post(accountId: string, epoch: number, call: BrokerCall): Promise<BrokerReply> {
    const { faults, random } = this;
    if (random.chance(faults.connectFailure)) {
      return this.#after(5, () => ({ kind: 'not-sent', reason: 'connect', detail: 'connection refused' }));
    }
    // The last moment: from here on bytes are out.
    if (call.mayStillSend?.() === false) {
      return this.#after(0, () => ({ kind: 'not-sent', reason: 'forbidden', detail: 'no longer allowed' }));
    }
    const body = JSON.parse(call.body ?? '{}') as Record<string, string>;
    const arrival = {
      accountId,
      clientOrderId: body['client_order_id']!,
      tag: body['limit_price']!,
      epoch,
      sentAt: this.time.now,
    };
    const way = this.#delay();
    const back = this.#delay();
    const lost = (detail: string, ms = way): Promise<BrokerReply> =>
      this.#after(ms, () => ({ kind: 'ambiguous', detail, upstreamMs: ms }));
    if (random.chance(faults.throttle))
      return this.#after(way, () => answered(429, { code: 42910000, message: 'rate limit' }));
    // What was stopped at the edge is known to have done nothing; from here on nobody can tell.
    this.sent.push(arrival);
    if (random.chance(faults.requestLoss)) return lost('reset before arrival');
    if (random.chance(faults.serverError)) return this.#after(way, () => answered(503, { message: 'unavailable' }));
    if (random.chance(faults.lateArrival)) {
      this.#arriveLater(arrival, body, random.between(100, 30_000));
      return lost('reset, and late');
    }
    const result = this.#arriveLater(arrival, body, way);
    if (random.chance(faults.responseLoss)) return lost('reset after arrival', way + back);
    if (random.chance(faults.serverError))
      return this.#after(way + back, () => answered(502, { message: 'bad gateway' }));
    if (random.chance(faults.hang)) return lost('no answer', HANG_MS);
    const isMixedUp = random.chance(faults.mixUp);
    return this.#after(way + back, () => {
      const reply = result();
      return isMixedUp && reply.status < 300
        ? answered(200, { ...reply.order, symbol: 'WRONG' })
        : answered(reply.status, reply.body);
    });
  }

  #arriveLater(
    arrival: Arrival,
    body: Record<string, string>,
    ms: number,
  ): () => { status: number; body: unknown; order?: VenueOrder } {
    const mark = `${arrival.tag}#${this.arrivals.length}#${this.time.now}`;
    this.onTheWire.add(mark);
    let result: { status: number; body: unknown; order?: VenueOrder } = { status: 503, body: {} };
    this.time.at(ms, () => {
      this.onTheWire.delete(mark);
      this.arrivals.push(arrival);
      this.onArrival(arrival);
      result = this.#take(arrival, body);
    });
    return () => result;
  }

  #take(arrival: Arrival, body: Record<string, string>): { status: number; body: unknown; order?: VenueOrder } {
    const key = `${arrival.accountId}/${arrival.clientOrderId}`;
    const known = this.orders.get(key);
    // A second attempt can be refused for what the first one did: its buying power is used.
    if (known !== undefined && this.random.chance(0.6)) return refusal(403, 40310000, 'insufficient buying power');
    if (known !== undefined) return refusal(422, 40010001, 'client_order_id must be unique');
    if (this.random.chance(this.faults.refusal)) return refusal(403, 40310000, 'insufficient buying power');
    const order: VenueOrder = {
      ...body,
      id: `order-${(this.#ids += 1)}`,
      client_order_id: arrival.clientOrderId,
      limit_price: body['limit_price']!,
      qty: body['qty']!,
      filled_qty: '0',
      status: 'new',
    };
    this.orders.set(key, order);
    this.#shownFrom.set(key, this.time.now + this.random.between(0, 1) * this.faults.lookupLagMs);
    this.#tell(arrival.accountId, order, 'new');
    if (this.random.chance(0.7))
      this.time.at(this.random.between(0, 3_000), () => this.#fill(arrival.accountId, order));
    const shown = { ...order };
    return { status: 200, body: shown, order: shown };
  }

  #fill(accountId: string, order: VenueOrder): void {
    if (order.status !== 'new') return;
    order.status = 'filled';
    order.filled_qty = order.qty;
    const id = `execution-${order.id}`;
    const update = this.#tell(accountId, order, 'fill', id);
    this.executions.set(accountId, [...(this.executions.get(accountId) ?? []), { id, update }]);
  }

  #tell(accountId: string, order: VenueOrder, event: string, executionId?: string): TradeUpdate {
    const timestamp = new Date(Math.floor(this.time.now + this.time.wallOffset)).toISOString();
    const shown = { ...order };
    const data = JSON.stringify({
      event,
      timestamp,
      execution_id: executionId,
      qty: order.qty,
      price: order.limit_price,
      order: shown,
    });
    const update = {
      event,
      timestamp,
      data,
      order: shown,
      reconciled: false,
      ...(executionId === undefined ? {} : { executionId }),
    };
    if (this.random.chance(this.faults.streamLoss)) return update;
    const copies = this.random.chance(this.faults.streamDuplicate) ? 2 : 1;
    for (let copy = 0; copy < copies; copy += 1) {
      this.time.at(this.#delay(), () => {
        for (const listener of this.#listeners.get(accountId) ?? []) listener(update);
      });
    }
    return update;
  }

  #read(accountId: string, call: BrokerCall): Promise<BrokerReply> {
    const way = this.#delay();
    if (call.method === 'GET' && this.random.chance(this.faults.lookupFailure)) {
      const status = this.random.pick([429, 500]);
      return this.#after(way, () => answered(status, { message: 'not now' }));
    }
    return this.#after(way, () => this.#answerRead(accountId, call));
  }

  #answerRead(accountId: string, call: BrokerCall): BrokerReply {
    const url = new URL(call.path.replace(':by_client_order_id', '/by'), 'http://venue');
    const shown = (order: VenueOrder): boolean =>
      (this.#shownFrom.get(`${accountId}/${order.client_order_id}`) ?? 0) <= this.time.now;
    if (call.method === 'DELETE') return this.#cancel(accountId, url.pathname.split('/').at(-1)!);
    if (url.pathname === '/v2/orders/by') {
      const order = this.orders.get(`${accountId}/${url.searchParams.get('client_order_id') ?? ''}`);
      return order !== undefined && shown(order)
        ? answered(200, order)
        : answered(404, { code: 40410000, message: 'not found' });
    }
    if (url.pathname === '/v2/orders') {
      return answered(200, url.searchParams.has('after_order_id') ? [] : this.ordersOf(accountId).filter(shown));
    }
    const order = this.ordersOf(accountId).find(({ id }) => url.pathname.endsWith(`/${id}`));
    return order === undefined ? answered(404, { message: 'not found' }) : answered(200, order);
  }

  #cancel(accountId: string, orderId: string): BrokerReply {
    const order = this.ordersOf(accountId).find(({ id }) => id === orderId);
    if (order === undefined) return answered(404, { code: 40410000, message: 'order not found' });
    if (order.status !== 'new')
      return answered(422, { code: 42210000, message: `order is already in "${order.status}" state` });
    order.status = 'canceled';
    this.#tell(accountId, order, 'canceled');
    return { kind: 'answered', status: 204, headers: {}, body: new Uint8Array(), upstreamMs: 1 };
  }
}

function refusal(status: number, code: number, message: string): { status: number; body: unknown } {
  return { status, body: { code, message } };
}

function answered(status: number, body: unknown): BrokerReply {
  return { kind: 'answered', status, headers: {}, body: new TextEncoder().encode(JSON.stringify(body)), upstreamMs: 1 };
}
