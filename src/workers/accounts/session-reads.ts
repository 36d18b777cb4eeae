/**
 * Reads of one account: from the mirror where it can prove its answer, from the broker else. What it cannot prove:
 * anything older than the caller allows, lists with a filter that reaches the past, complex orders and their children.
 */
import type { AccountAnswer, AccountRead, Freshness } from '../../kernel/domain/account-request.js';
import type { ProblemCode } from '../../kernel/domain/problem.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { BrokerReply } from './account-session.js';
import { answerOf } from './broker-answers.js';
import type { BudgetedCalls } from './budgeted-calls.js';
import type { Asked, Mirror } from './mirror.js';
import { mirroredListOf, mirroredOf, textOf, type Mirrored } from './mirrored.js';
import type { UnsettledOrders } from './unsettled-orders.js';
import { isSimple, openOrdersText } from './open-orders.js';

/** Values that move with the market are shown this old at most, unless the caller allows more. */
const VALUES_MAX_AGE_MS = 1_000;
/** A stream that is up and in sync is proved alive by every answered ping. */
const ORDERS_MAX_AGE_MS = 15_000;

export interface ReadOptions {
  readonly deadlineMs: number;
  readonly traceparent?: string;
}

export class SessionReads {
  constructor(
    private readonly mirror: Mirror,
    private readonly calls: BudgetedCalls,
    private readonly unsettled: UnsettledOrders,
    private readonly ports: { readonly clock: Clock; readonly meter: Meter },
  ) {}

  async read(read: AccountRead, freshness: Freshness, options: ReadOptions): Promise<AccountAnswer> {
    const mirrored = freshness.fresh ? undefined : this.#fromMirror(read, freshness.maxAgeMs);
    this.ports.meter.count('opitios_account_reads_total', { source: mirrored === undefined ? 'broker' : 'mirror' });
    return mirrored ?? this.#fromBroker(read, options);
  }

  #fromMirror(read: AccountRead, maxAgeMs: number | undefined): AccountAnswer | undefined {
    const { mirror } = this;
    switch (read.resource) {
      case 'account':
        return this.#answer(mirror.accountText(), mirror.ageMs('account'), maxAgeMs ?? VALUES_MAX_AGE_MS);
      case 'positions':
        return this.#answer(mirror.positionsText(), mirror.ageMs('positions'), maxAgeMs ?? VALUES_MAX_AGE_MS);
      case 'position': {
        const text = mirror.positionsText(read.symbol);
        return this.#answer(text, mirror.ageMs('positions'), maxAgeMs ?? VALUES_MAX_AGE_MS);
      }
      case 'orders':
        if (!this.unsettled.isEmpty()) return undefined;
        return this.#answer(
          openOrdersText(mirror.orders, read.query),
          mirror.ageMs('orders'),
          maxAgeMs ?? ORDERS_MAX_AGE_MS,
        );
      case 'order':
        return this.#order(read.query === '' ? mirror.orders.get(read.orderId) : undefined, maxAgeMs);
      case 'order-by-client-order-id':
        return this.#order(mirror.orders.byClientOrderId(read.clientOrderId), maxAgeMs);
      case 'activities':
      case 'portfolio-history':
        return undefined;
    }
  }

  #order(order: Mirrored | undefined, maxAgeMs: number | undefined): AccountAnswer | undefined {
    if (order === undefined || !isSimple(order) || this.unsettled.has(textOf(order.value, 'id'))) return undefined;
    return this.#answer(order.text, this.mirror.ageMs('orders'), maxAgeMs ?? ORDERS_MAX_AGE_MS);
  }

  #answer(text: string | undefined, ageMs: number, maxAgeMs: number): AccountAnswer | undefined {
    if (text === undefined || ageMs > maxAgeMs) return undefined;
    const headers = {
      'content-type': 'application/json',
      'x-opitios-source': 'mirror',
      age: String(Math.floor(ageMs / 1000)),
    };
    return { kind: 'answer', status: 200, headers, body: Buffer.from(text) };
  }

  async #fromBroker(read: AccountRead, options: ReadOptions): Promise<AccountAnswer> {
    const startedAt = this.ports.clock.monotonicMs();
    const { path, notFound } = brokerPath(read);
    for (let attempt = 1; ; attempt += 1) {
      const deadlineMs = options.deadlineMs - (this.ports.clock.monotonicMs() - startedAt);
      const asked = this.mirror.asking();
      const reply = await this.calls.send({ method: 'GET', path, lane: 'read', ...options, deadlineMs });
      // An idle socket that the broker closed fails the first request on it; a read may be asked again.
      if (reply.kind === 'ambiguous' && reply.detail !== 'deadline' && attempt === 1) continue;
      this.#keep(read, reply, asked);
      return answerOf(reply, notFound, this.calls.budget);
    }
  }

  #keep(read: AccountRead, reply: BrokerReply, asked: Asked): void {
    if (reply.kind !== 'answered' || reply.status !== 200) return;
    const text = Buffer.from(reply.body).toString();
    if (read.resource === 'account') {
      const account = mirroredOf(text);
      if (account !== undefined) this.mirror.putAccount(account, asked);
    } else if (read.resource === 'positions') {
      const positions = mirroredListOf(text);
      if (positions !== undefined) this.mirror.putPositions(text, positions, asked);
    }
  }
}

function brokerPath(read: AccountRead): { readonly path: string; readonly notFound: ProblemCode } {
  const withQuery = (path: string, query: string): string => (query === '' ? path : `${path}?${query}`);
  switch (read.resource) {
    case 'account':
      return { path: '/v2/account', notFound: 'not-found' };
    case 'positions':
      return { path: '/v2/positions', notFound: 'not-found' };
    case 'position':
      return { path: `/v2/positions/${encodeURIComponent(read.symbol)}`, notFound: 'not-found' };
    case 'orders':
      return { path: withQuery('/v2/orders', read.query), notFound: 'not-found' };
    case 'order':
      return {
        path: withQuery(`/v2/orders/${encodeURIComponent(read.orderId)}`, read.query),
        notFound: 'order-not-found',
      };
    case 'order-by-client-order-id':
      return {
        path: `/v2/orders:by_client_order_id?client_order_id=${encodeURIComponent(read.clientOrderId)}`,
        notFound: 'order-not-found',
      };
    case 'activities':
      return { path: withQuery('/v2/account/activities', read.query), notFound: 'not-found' };
    case 'portfolio-history':
      return { path: withQuery('/v2/account/portfolio/history', read.query), notFound: 'not-found' };
  }
}
