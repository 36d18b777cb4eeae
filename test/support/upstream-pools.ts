/** The wire to a simulated broker as a worker has it: one pool an origin, the master first, then its stand-ins. */
import { MASTER_ACCOUNT_ID, parseAccountId } from '../../src/kernel/domain/identifiers.js';
import type { AccountGrant } from '../../src/kernel/ipc/control.js';
import type { Clock } from '../../src/kernel/runtime/clock.js';
import type { AccountKeys } from '../../src/simulator/accounts.js';
import type { Simulator } from '../../src/simulator/simulator.js';
import { BrokerPool } from '../../src/workers/alpaca/broker-pool.js';
import { upstreamAccounts } from '../../src/workers/market-data/alpaca-upstream.js';
import type { UpstreamAccount } from '../../src/workers/market-data/upstream.js';

export class SimulatedPools {
  readonly #pools = new Map<string, BrokerPool>();

  constructor(
    private readonly simulator: Pick<Simulator, 'endpoints' | 'master'>,
    private readonly clock: Clock,
  ) {}

  accounts(standIns: readonly AccountKeys[]): readonly [UpstreamAccount, ...UpstreamAccount[]] {
    const { endpoints, master } = this.simulator;
    const grantOf = (accountId: string, keys: { apiKey: string; secretKey: string }): AccountGrant => ({
      accountId: parseAccountId(accountId),
      epoch: 1,
      apiKey: keys.apiKey,
      secretKey: keys.secretKey,
      paperTrading: true,
    });
    return upstreamAccounts(
      { ...grantOf(MASTER_ACCOUNT_ID, master), standIns: standIns.map((keys) => grantOf(keys.accountId, keys)) },
      {
        endpoints: {
          tradingPaper: endpoints.trading,
          tradingLive: endpoints.trading,
          data: endpoints.data,
          streamData: endpoints.streamData,
        },
        poolOf: (origin) => this.#poolOf(origin),
        clock: this.clock,
      },
    );
  }

  async close(): Promise<void> {
    for (const pool of this.#pools.values()) await pool.close();
  }

  #poolOf(origin: string): BrokerPool {
    const known = this.#pools.get(origin);
    if (known !== undefined) return known;
    const options = { origin, connections: 8, connectTimeoutMs: 20_000, keepAliveMs: 55_000 };
    const pool = new BrokerPool(options, this.clock);
    this.#pools.set(origin, pool);
    return pool;
  }
}
