/** The worker's sockets to the broker: one pool an origin, whatever the number of accounts. */
import type { AlpacaConfig } from '../../kernel/config/gateway-config.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import { BrokerPool } from '../alpaca/broker-pool.js';
import { BrokerWire, type KeyPair } from '../alpaca/broker-wire.js';

const CONNECT_TIMEOUT_MS = 5_000;
/** Longer than the time between two reads of a quiet account; the broker's own limit is not published. */
const KEEP_ALIVE_MS = 600_000;
const WARM_DEADLINE_MS = 10_000;

export class BrokerPools {
  readonly #pools = new Map<string, BrokerPool>();

  constructor(
    private readonly config: AlpacaConfig,
    private readonly clock: Clock,
  ) {}

  tradingOrigin(isPaper: boolean): string {
    const { tradingPaper, tradingLive } = this.config.endpoints;
    return isPaper ? tradingPaper : tradingLive;
  }

  tradingStreamUrl(isPaper: boolean): string {
    const { streamTradingPaper, streamTradingLive } = this.config.endpoints;
    return isPaper ? streamTradingPaper : streamTradingLive;
  }

  of(origin: string): BrokerPool {
    const known = this.#pools.get(origin);
    if (known !== undefined) return known;
    const pool = new BrokerPool(
      {
        origin,
        connections: this.config.poolConnections,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        keepAliveMs: KEEP_ALIVE_MS,
      },
      this.clock,
    );
    this.#pools.set(origin, pool);
    return pool;
  }

  wire(origin: string, keys: KeyPair): BrokerWire {
    return new BrokerWire(this.of(origin), origin, keys);
  }

  /** Opens every socket of an origin, with the accounts' keys in turn: one account's budget must not pay for all. */
  async warm(origin: string, keys: readonly KeyPair[]): Promise<void> {
    const [first] = keys;
    if (first === undefined) return;
    const probes = Array.from({ length: this.config.poolConnections }, (_, n) => keys[n % keys.length] ?? first);
    const probe = { method: 'GET', path: '/v2/clock', deadlineMs: WARM_DEADLINE_MS } as const;
    await Promise.all(probes.map((pair) => this.wire(origin, pair).send(probe)));
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.close()));
  }
}
