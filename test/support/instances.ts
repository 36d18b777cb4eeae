/** Several whole gateways on one simulator and one Redis: each with its own data directory, all with the same accounts. */
import { randomBytes } from 'node:crypto';
import { startGateway, type GatewayProcess } from './gateway-process.js';
import { startRedis, type RedisProcess } from './redis-process.js';
import { startSimulatorProcess, type SimulatorProcess } from './simulator.js';

export interface InstancesOptions {
  readonly accounts?: number;
  readonly workers?: number;
  /** Merged over every instance's configuration, section by section. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Merged over `cluster` of every instance. */
  readonly cluster?: Readonly<Record<string, unknown>>;
  readonly redisOptions?: Readonly<Record<string, unknown>>;
}

export interface Instances {
  readonly redis: RedisProcess;
  readonly simulator: SimulatorProcess;
  readonly secret: string;
  readonly gateways: readonly GatewayProcess[];
  /** One more, under the next name or a given one. */
  add(name?: string): Promise<GatewayProcess>;
  /** Which instance holds the account, by each instance's own pool. */
  ownersOf(accountId: string): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export async function startInstances(names: readonly string[], options: InstancesOptions = {}): Promise<Instances> {
  const redis = await startRedis();
  const accounts = options.accounts ?? 6;
  const simulator = await startSimulatorProcess(['--accounts', String(accounts)]);
  const secret = randomBytes(32).toString('hex');
  const running: { readonly name: string; readonly gateway: GatewayProcess }[] = [];
  const launch = async (name: string): Promise<GatewayProcess> => {
    const gateway = await startGateway({
      accounts,
      workers: options.workers ?? 1,
      venue: simulator,
      secret,
      config: {
        ...options.config,
        cluster: {
          workers: options.workers ?? 1,
          threads: 1,
          warm_spare: false,
          instance_id: name,
          ...options.cluster,
          redis: { url: redis.url, ...options.redisOptions },
        },
      },
    });
    running.push({ name, gateway });
    return gateway;
  };
  const stop = async (): Promise<void> => {
    await Promise.all(running.map(({ gateway }) => gateway.stop()));
    await simulator.close();
    await redis.stop();
  };
  try {
    await Promise.all(names.map((name) => launch(name)));
    running.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
  } catch (cause) {
    await stop();
    throw cause;
  }
  return {
    ...{ redis, simulator, secret, stop },
    gateways: running.map(({ gateway }) => gateway),
    add: (name = `instance-${running.length}`) => launch(name),
    ownersOf: async (accountId) => {
      const holders = await Promise.all(
        running.map(async ({ name, gateway }) => {
          if (gateway.primary.exitCode !== null || gateway.primary.signalCode !== null) return [];
          const pool = await gateway.pool();
          return pool.accounts.some((account) => account.account_id === accountId) ? [name] : [];
        }),
      );
      return holders.flat();
    },
  };
}
