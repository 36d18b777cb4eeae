/** What a worker needs of other instances. Loaded only where several share the accounts: alone there is none of it. */
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { Elsewhere } from '../routing/elsewhere.js';
import type { InstanceMap } from '../routing/instance-map.js';
import type { SharedEvents } from '../routing/shared-events.js';
import type { SharedLimits } from '../http/shared-limits.js';
import type { SharedQuotes } from '../market-data/shared-quotes.js';
import { MASTER_ACCOUNT_ID } from '../../kernel/domain/identifiers.js';

export interface Shared {
  readonly elsewhere?: Elsewhere;
  readonly shared?: SharedEvents;
  readonly quotes?: SharedQuotes;
  readonly limits?: SharedLimits;
}

/** Order events kept a lease slot, about: a slot has few accounts. */
const EVENTS_KEPT = 20_000;

export async function openShared(
  { cluster, limits }: GatewayConfig,
  map: InstanceMap,
  { clock, log, meter }: { readonly clock: Clock; readonly log: Log; readonly meter: Meter },
): Promise<Shared> {
  const { redis } = cluster;
  if (redis === undefined || map.isAlone) return {};
  const [{ Elsewhere }, { InstanceForwarder }, { SharedEvents }, { RedisQuoteBus }, { shareQuotes }] =
    await Promise.all([
      import('../routing/elsewhere.js'),
      import('../routing/instance-forwarder.js'),
      import('../routing/shared-events.js'),
      import('../market-data/redis-quote-bus.js'),
      import('../market-data/open-shared-quotes.js'),
    ]);
  const forwarder = new InstanceForwarder(() => map.self ?? '', clock);
  const shared = new SharedEvents({ ...redis, self: cluster.instanceId, keptMax: EVENTS_KEPT }, clock, log);
  shared.start();
  const quotes = shareQuotes(new RedisQuoteBus(redis, clock, log), {
    self: cluster.instanceId,
    holder: () => {
      const place = map.placeOf(MASTER_ACCOUNT_ID);
      if (place.kind === 'here') return cluster.instanceId;
      return place.kind === 'there' ? place.instance.instanceId : undefined;
    },
    members: () => map.members,
  });
  const elsewhere = new Elsewhere({ map, forwarder, clock, meter });
  if ((limits.perSubjectPerMinute ?? limits.perAccountPerMinute) === undefined) return { elsewhere, shared, quotes };
  const { openSharedLimits } = await import('../http/shared-limits.js');
  const workers = (): number => cluster.workers * map.members;
  return { elsewhere, shared, quotes, limits: openSharedLimits(redis, workers, { clock, log }) };
}
