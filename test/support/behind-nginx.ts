/**
 * Several instances of two workers behind nginx, as one gateway: what a test of one gateway asks, it asks of all of them.
 * `npm run acceptance:instances` runs the acceptance tests so.
 */
import { callsTo, eventually, type GatewayOptions, type GatewayProcess, type Pool } from './gateway-process.js';
import { startInstances } from './instances.js';
import { startNginx } from './nginx-process.js';

const ACCOUNTS_MIN = 300;
const WORKERS = 2;
const NAMES = ['alpha', 'beta', 'gamma', 'delta', 'epsilon'];

export async function startBehindNginx(options: GatewayOptions, count: number): Promise<GatewayProcess> {
  const { config, simulator = [], accounts = 0, environment, editAccounts, editConfig } = options;
  const instances = await startInstances(NAMES.slice(0, count), {
    accounts: Math.max(accounts, ACCOUNTS_MIN),
    workers: WORKERS,
    simulator,
    gateway: {
      ...(environment !== undefined && { environment }),
      ...(editAccounts !== undefined && { editAccounts }),
      ...(editConfig !== undefined && { editConfig: editedOnce(editConfig) }),
    },
    config: { ...config, server: { trust_proxy: ['127.0.0.1/32'], ...(config?.['server'] as object | undefined) } },
  });
  const { gateways } = instances;
  const one = first(gateways);
  await eventually(() => areShared(gateways), 'every instance has its share', 60_000);
  const nginx = await startNginx(gateways.map(({ url }) => Number(new URL(url).port)));
  const url = `http://127.0.0.1:${nginx.port}`;
  const authorization = `Bearer ${await one.token()}`;
  return {
    ...one,
    url,
    output: () => gateways.map((one) => one.output()).join(''),
    ...callsTo(url, authorization),
    pool: async () => merged(await Promise.all(gateways.map((one) => one.pool()))),
    signalWorker: (slot, signal) => (gateways[Math.floor(slot / WORKERS)] ?? one).signalWorker(slot % WORKERS, signal),
    rewriteConfig: (edit) => gateways.forEach((one) => one.rewriteConfig(edit)),
    stop: async () => {
      await nginx.stop();
      await instances.stop();
    },
  };
}

/** The first one up holds everything; what a test counts must not be the others taking theirs. */
async function areShared(gateways: readonly GatewayProcess[]): Promise<boolean> {
  const pools = await Promise.all(gateways.map((one) => one.pool()));
  const settled = ({ accounts, leases }: Pool): boolean =>
    leases?.unowned_slots === 0 &&
    leases.members.length === gateways.length &&
    accounts.length > 0 &&
    accounts.every(({ state }) => state !== 'connecting');
  return pools.every(settled) && merged(pools).accounts.length === first(gateways).accountIds.length;
}

function first(gateways: readonly GatewayProcess[]): GatewayProcess {
  const [one] = gateways;
  if (one === undefined) throw new TypeError('no instance');
  return one;
}

/** Workers are numbered through: those of the second instance follow those of the first. */
function merged(pools: readonly Pool[]): Pool {
  const offset = (index: number): number => index * WORKERS;
  const leases = pools[0]?.leases;
  return {
    ...(leases !== undefined && { leases }),
    ready: pools.every(({ ready }) => ready),
    workers: pools.flatMap(({ workers }, index) => workers.map((one) => ({ ...one, slot: one.slot + offset(index) }))),
    accounts: pools.flatMap(({ accounts }, index) =>
      accounts.map((one) => ({ ...one, owner: one.owner + offset(index) })),
    ),
  };
}

/** What an edit starts, it starts once: the other instances are given the same addresses. */
function editedOnce(edit: NonNullable<GatewayOptions['editConfig']>): NonNullable<GatewayOptions['editConfig']> {
  let edited: Promise<unknown> | undefined;
  return async (config) => {
    edited ??= Promise.resolve(edit(config)).then(() => config['alpaca']);
    config['alpaca'] = await edited;
  };
}
