/** Account sessions against a simulator, with intervals short enough for tests. Close it before the simulator. */
import { parseAccountId } from '../../src/kernel/domain/identifiers.js';
import type { AccountAnswer } from '../../src/kernel/domain/account-request.js';
import type { Clock } from '../../src/kernel/runtime/clock.js';
import { silentLog } from '../../src/kernel/runtime/log.js';
import { silentMeter } from '../../src/kernel/runtime/meter.js';
import { SystemClock } from '../../src/kernel/runtime/system-clock.js';
import type { AccountKeys } from '../../src/simulator/accounts.js';
import type { Simulator } from '../../src/simulator/simulator.js';
import type { BrokerCall, TradeUpdate } from '../../src/workers/accounts/account-session.js';
import { BrokerSession } from '../../src/workers/accounts/broker-session.js';
import type { ToldBefore } from '../../src/workers/accounts/gap-repair.js';
import type { RateBudgetOptions } from '../../src/workers/accounts/rate-budget.js';
import { BrokerPool, type BrokerPoolOptions } from '../../src/workers/alpaca/broker-pool.js';
import { BrokerWire } from '../../src/workers/alpaca/broker-wire.js';
import { aRandom } from './random.js';

export interface BrokerAccountsOptions {
  readonly pool?: Partial<BrokerPoolOptions>;
  readonly budget?: Partial<RateBudgetOptions>;
  readonly pingIntervalMs?: number;
  readonly clock?: Clock;
}

export class BrokerAccounts {
  readonly pool: BrokerPool;
  readonly clock: Clock;
  readonly #sessions: BrokerSession[] = [];
  readonly #random = aRandom(7);

  constructor(
    private readonly simulator: Pick<Simulator, 'endpoints' | 'accounts'>,
    private readonly options: BrokerAccountsOptions = {},
  ) {
    this.clock = options.clock ?? new SystemClock();
    const pool = { connections: 8, connectTimeoutMs: 1_000, keepAliveMs: 55_000, ...options.pool };
    this.pool = new BrokerPool({ origin: simulator.endpoints.trading, ...pool }, this.clock);
  }

  /** Not started yet. */
  session(keys: AccountKeys = this.keys(), epoch = 1): BrokerSession {
    const { endpoints } = this.simulator;
    const keyPair = { keyId: keys.apiKey, secretKey: keys.secretKey };
    const session = new BrokerSession(
      {
        accountId: parseAccountId(keys.accountId),
        epoch,
        keys: keyPair,
        stream: {
          url: endpoints.streamTrading,
          openTimeoutMs: 2_000,
          pingIntervalMs: this.options.pingIntervalMs ?? 1_000,
          backOffMinMs: 5,
          backOffMaxMs: 100,
        },
        budget: { limitPerMinute: 200, inFlightMax: 8, waitingMax: 1_000, ...this.options.budget },
      },
      {
        wire: new BrokerWire(this.pool, endpoints.trading, keyPair),
        clock: this.clock,
        log: silentLog,
        meter: silentMeter,
        jitter: () => this.#random.next(),
      },
    );
    this.#sessions.push(session);
    return session;
  }

  /** The session goes on under other keys. */
  rotate(session: BrokerSession, { apiKey, secretKey }: AccountKeys): ReturnType<BrokerSession['rotate']> {
    const keys = { keyId: apiKey, secretKey };
    return session.rotate(keys, new BrokerWire(this.pool, this.simulator.endpoints.trading, keys));
  }

  /** Started, tried once, with everything that it tells from its first moment. */
  async started(
    keys: AccountKeys = this.keys(),
    told?: ToldBefore,
  ): Promise<{ session: BrokerSession; heard: TradeUpdate[] }> {
    const session = this.session(keys);
    const heard: TradeUpdate[] = [];
    session.onTradeUpdate((update) => heard.push(update));
    session.start(told);
    await session.tried;
    return { session, heard };
  }

  keys(index = 0): AccountKeys {
    const keys = this.simulator.accounts[index];
    if (keys === undefined) throw new TypeError(`the simulator has no account ${String(index)}`);
    return keys;
  }

  async close(): Promise<void> {
    await Promise.all(this.#sessions.map((session) => session.close()));
    await this.pool.close();
  }
}

export const BUY = { symbol: 'AAPL', qty: '10', side: 'buy', type: 'market', time_in_force: 'day' };
/** Rests in the book: far below the market. */
export const RESTING = { ...BUY, type: 'limit', limit_price: '5' };

export function postOrder(order: object, more: Partial<BrokerCall> = {}): BrokerCall {
  return {
    ...{ method: 'POST', path: '/v2/orders', body: JSON.stringify(order), lane: 'order', deadlineMs: 5_000 },
    ...more,
  };
}

/** The text of an answer; fails on a problem. */
export function answered(answer: AccountAnswer): { source: string; age: number; text: string; json: any } {
  if (answer.kind !== 'answer') throw new TypeError(`a problem: ${JSON.stringify(answer.problem)}`);
  const text = Buffer.from(answer.body).toString();
  return {
    source: answer.headers['x-opitios-source'] ?? '',
    age: Number(answer.headers['age']),
    text,
    json: JSON.parse(text),
  };
}
