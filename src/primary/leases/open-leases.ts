/** Puts the leases together. Loaded only where `cluster.redis` is configured. */
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import { GatewayError } from '../../kernel/domain/errors.js';
import { fingerprintOf, OPEN_NAMESPACE } from '../../kernel/secrets/order-id-namespace.js';
import { composeEpoch, nextHighPart } from './epoch.js';
import { InstanceLeases, type InstanceLeasesParts } from './instance-leases.js';
import { LeaseKeeper } from './lease-keeper.js';
import { RedisLeaseStore } from './redis-lease-store.js';
import { SharedFacts, type SharedFactsOptions } from './shared-facts.js';

const TTL_MS = 3_000;
const RENEW_MS = 1_000;
const SAFETY_MARGIN_MS = 500;
const SUSPEND_GAP_MS = 500;
const COMMAND_TIMEOUT_MS = 300;

export interface OpenLeases {
  readonly leases: InstanceLeases;
  readonly facts: SharedFacts;
  /** After the workers are there. */
  start(port: number): Promise<void>;
  close(): Promise<void>;
}

/** @throws GatewayError CONFIG_INVALID */
export function openLeases(
  config: GatewayConfig,
  parts: Omit<InstanceLeasesParts, 'instanceId' | 'slots'> & Pick<SharedFactsOptions, 'onNumbers' | 'onOtherNamespace'>,
): OpenLeases {
  const { redis, instanceId } = config.cluster;
  if (redis === undefined) throw new GatewayError('CONFIG_INVALID', {}, { message: 'cluster.redis is not set' });
  const { clock, log } = parts;
  const leases = new InstanceLeases({ ...parts, instanceId, slots: redis.slots });
  const { onNumbers, onOtherNamespace } = parts;
  const fingerprint = (): string => fingerprintOf(namespaceOfWorkers(parts.grants().workerConfig));
  const facts = new SharedFacts({ ...redis, fingerprint, onNumbers, onOtherNamespace }, clock, log);
  if (redis.mode === 'pinned') {
    const epoch = (): number => composeEpoch(nextHighPart(clock.now(), parts.table().highestEpoch()), 0);
    const start = async (): Promise<void> => {
      await facts.start();
      await leases.pin(redis.instances, epoch());
    };
    const close = (): Promise<void> => {
      facts.close();
      return Promise.resolve();
    };
    return { leases, facts, start, close };
  }
  const store = new RedisLeaseStore({ ...redis, commandTimeoutMs: COMMAND_TIMEOUT_MS }, clock, log);
  return {
    leases,
    facts,
    start: async (port) => {
      await facts.start();
      await leases.start(
        new LeaseKeeper(
          store,
          {
            instanceId,
            advertiseUrl: advertised(config, port),
            slots: redis.slots,
            ttlMs: TTL_MS,
            renewIntervalMs: RENEW_MS,
            safetyMarginMs: SAFETY_MARGIN_MS,
            suspendGapMs: SUSPEND_GAP_MS,
            writeDeadlineMs: config.alpaca.requestTimeoutMs,
            highestEpoch: parts.table().highestEpoch(),
          },
          leases,
          { clock, log },
        ),
      );
    },
    close: async () => {
      facts.close();
      await store.close();
    },
  };
}

function namespaceOfWorkers({ orders }: GatewayConfig): string {
  return orders.idNamespaces?.current ?? OPEN_NAMESPACE;
}

/** Where the others reach this instance's client door. */
function advertised({ cluster, server }: GatewayConfig, port: number): string {
  if (cluster.advertiseUrl !== undefined) return cluster.advertiseUrl.replace(/\/+$/, '');
  const host = server.host.includes(':') ? `[${server.host}]` : server.host;
  return `${server.tls === undefined ? 'http' : 'https'}://${host}:${port}`;
}
