/** What a worker needs of other instances. Loaded only where several share the accounts: alone there is none of it. */
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { Elsewhere } from '../routing/elsewhere.js';
import type { InstanceMap } from '../routing/instance-map.js';
import type { SharedEvents } from '../routing/shared-events.js';

export interface Shared {
  readonly elsewhere?: Elsewhere;
  readonly shared?: SharedEvents;
}

/** Order events kept a lease slot, about: a slot has few accounts. */
const EVENTS_KEPT = 20_000;

export async function openShared(
  { cluster }: GatewayConfig,
  map: InstanceMap,
  { clock, log, meter }: { readonly clock: Clock; readonly log: Log; readonly meter: Meter },
): Promise<Shared> {
  const { redis } = cluster;
  if (redis === undefined || map.isAlone) return {};
  const [{ Elsewhere }, { InstanceForwarder }, { SharedEvents }] = await Promise.all([
    import('../routing/elsewhere.js'),
    import('../routing/instance-forwarder.js'),
    import('../routing/shared-events.js'),
  ]);
  const forwarder = new InstanceForwarder(() => map.self ?? '', clock);
  const shared = new SharedEvents({ ...redis, self: cluster.instanceId, keptMax: EVENTS_KEPT }, clock, log);
  shared.start();
  return { elsewhere: new Elsewhere({ map, forwarder, clock, meter }), shared };
}
