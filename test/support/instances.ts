/** Several whole gateways on one simulator and one Redis: each with its own data directory, all with the same accounts. */
import { randomBytes } from 'node:crypto';
import {
  startGateway,
  type GatewayOptions,
  type GatewayProcess,
  type Pool,
  type Restarted,
} from './gateway-process.js';
import { freePort } from './free-port.js';
import { startRedis, type RedisProcess } from './redis-process.js';
import { startSimulatorProcess, type SimulatorProcess } from './simulator.js';

type Redis = Readonly<Record<string, unknown>>;

export interface InstancesOptions {
  readonly accounts?: number;
  readonly workers?: number;
  /** More arguments of the simulator. */
  readonly simulator?: readonly string[];
  /** Merged over every instance's configuration, section by section. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Merged over `cluster` of every instance. */
  readonly cluster?: Readonly<Record<string, unknown>>;
  /** Whatever else each gateway is started with. */
  readonly gateway?: Pick<GatewayOptions, 'environment' | 'editAccounts' | 'editConfig'>;
  /** Each listens on a port of its own that it keeps over restarts. */
  readonly keepsPorts?: boolean;
  /** Members of `cluster.redis` besides its address. */
  readonly redisOf?: (name: string, redis: RedisProcess) => Redis | Promise<Redis>;
}

export interface SentOrder {
  readonly accountId: string;
  readonly epoch: number;
  readonly clientOrderId: string;
  readonly at: number;
}

export interface Instances {
  readonly redis: RedisProcess;
  readonly simulator: SimulatorProcess;
  readonly secret: string;
  readonly gateways: readonly GatewayProcess[];
  /** Under its name, also after it was replaced; the newest of that name. */
  named(name: string): GatewayProcess;
  /** Every process of one instance gets the signal. Returns what it reached. */
  signal(name: string, signal: NodeJS.Signals): Promise<readonly number[]>;
  /** A restarted process takes the place of the one that was killed. */
  replace(name: string, restarted: Restarted): void;
  /** Order requests that reached the broker, in the order of their coming. */
  sent(): Promise<readonly SentOrder[]>;
  /** One more, under the next name or a given one. */
  add(name?: string): Promise<GatewayProcess>;
  /** Which instance holds the account, by each instance's own pool. */
  ownersOf(accountId: string): Promise<readonly string[]>;
  stop(): Promise<void>;
}

export async function startInstances(names: readonly string[], options: InstancesOptions = {}): Promise<Instances> {
  const redis = await startRedis();
  const accounts = options.accounts ?? 6;
  const simulator = await startSimulatorProcess(['--accounts', String(accounts), ...(options.simulator ?? [])]);
  const secret = randomBytes(32).toString('hex');
  const running: { readonly name: string; readonly gateway: GatewayProcess }[] = [];
  const launch = async (name: string): Promise<GatewayProcess> => {
    const server = options.keepsPorts === true ? { server: { port: await freePort() } } : {};
    const gateway = await startGateway({
      ...options.gateway,
      accounts,
      workers: options.workers ?? 1,
      venue: simulator,
      secret,
      config: {
        ...options.config,
        ...server,
        cluster: {
          workers: options.workers ?? 1,
          threads: 1,
          warm_spare: false,
          instance_id: name,
          ...options.cluster,
          redis: { url: redis.url, ...(await options.redisOf?.(name, redis)) },
        },
      },
    });
    running.push({ name, gateway });
    return gateway;
  };
  const named = (name: string): GatewayProcess => {
    const found = running.filter((one) => one.name === name).at(-1);
    if (found === undefined) throw new TypeError(`no instance is called ${name}`);
    return found.gateway;
  };
  const stoppedPids = new Map<GatewayProcess, readonly number[]>();
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
    named,
    signal: async (name, signal) => {
      const gateway = named(name);
      // A stopped one cannot be asked; one that runs may have replaced a worker.
      const stopped = stoppedPids.get(gateway);
      const known = stopped ?? (await pidsOf(gateway));
      if (signal === 'SIGSTOP') stoppedPids.set(gateway, known);
      else stoppedPids.delete(gateway);
      return known.filter((pid) => reaches(pid, signal));
    },
    replace: (name, restarted) => {
      const gateway = named(name);
      // In its place: both have one directory, and the stop of the one that is gone would take it from the other.
      const at = running.findIndex((one) => one.gateway === gateway);
      running.splice(at, 1, {
        name,
        gateway: {
          ...gateway,
          ...restarted,
          ...doorsOf(gateway, restarted),
          stop: async () => {
            await restarted.stop();
            await gateway.stop();
          },
        },
      });
    },
    sent: async () => {
      const { entries } = await simulator.control.ledger({ path: '/v2/orders', method: 'POST' });
      return entries.map(({ accountId, headers, clientOrderId, at }) => ({
        accountId: accountId ?? '',
        epoch: Number(headers.find(([header]) => header.toLowerCase() === 'x-opitios-epoch')?.[1] ?? -1),
        clientOrderId: clientOrderId ?? '',
        at,
      }));
    },
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

/** A worker may end between the look and the signal. */
function reaches(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}

/** Primary and workers. */
async function pidsOf(gateway: GatewayProcess): Promise<readonly number[]> {
  const { workers } = await gateway.pool();
  return [gateway.primary.pid ?? 0, ...workers.map(({ pid }) => pid)];
}

/** Orders that came under a lower epoch than one before them of the same account. */
export function fallingEpochs(sent: readonly SentOrder[]): readonly string[] {
  const highest = new Map<string, number>();
  const falls: string[] = [];
  for (const { accountId, epoch, clientOrderId } of sent) {
    const before = highest.get(accountId) ?? 0;
    if (epoch < before) falls.push(`${accountId} ${clientOrderId}: ${epoch} after ${before}`);
    highest.set(accountId, Math.max(before, epoch));
  }
  return falls;
}

/** The doors of a restarted gateway: it listens on other ports. */
function doorsOf(
  gateway: GatewayProcess,
  { url, adminUrl }: Restarted,
): Pick<GatewayProcess, 'get' | 'post' | 'pool' | 'adminUrl'> {
  const ask = async (address: string, init: RequestInit = {}): Promise<Response> =>
    fetch(address, {
      ...init,
      headers: {
        ...(init.headers as Record<string, string> | undefined),
        authorization: `Bearer ${await gateway.token()}`,
      },
    });
  return {
    adminUrl,
    get: (path) => ask(`${url}/api/v1${path}`),
    post: (path, body, headers = {}) =>
      ask(`${url}/api/v1${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: JSON.stringify(body),
      }),
    pool: async () => (await (await ask(`${adminUrl}/pool`)).json()) as Pool,
  };
}
