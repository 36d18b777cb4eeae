// One beat, a nudge heard and one shared event over the address in argv[2], with the built program's own classes; says what
// came of it. A process of its own, because what Node trusts is told to it at its start (NODE_EXTRA_CA_CERTS).
import { RedisLeaseStore } from '../../dist/primary/leases/redis-lease-store.js';
import { SharedEvents } from '../../dist/workers/routing/shared-events.js';
import { SystemClock } from '../../dist/kernel/runtime/system-clock.js';
import { silentLog } from '../../dist/kernel/runtime/log.js';

const url = process.argv[2];
const keyPrefix = 'opitios:';
const clock = new SystemClock();
const store = new RedisLeaseStore({ url, keyPrefix, slots: 4, commandTimeoutMs: 5_000 }, clock, silentLog);
const halt = { key: '*', state: { state: 'HALTED', reason: 'look', subject: 'ops', at: 5 } };
const beat = {
  ...{ instanceId: 'a', advertiseUrl: 'http://a', ttlMs: 60_000, renew: [], release: [], acquire: [] },
  ...{ epochFloor: 1, epochStep: 1, halts: [halt], haltsVersion: 0, member: true },
};
const events = new SharedEvents({ url, keyPrefix, slots: 4, self: 'a', keptMax: 10 }, clock, silentLog);
try {
  await store.beat(beat);
  let nudges = 0;
  store.onNudge(() => (nudges += 1));
  const end = Date.now() + 20_000;
  for (let at = 6; nudges === 0 && Date.now() < end; at += 1) {
    await store.beat({ ...beat, halts: [{ key: '*', state: { ...halt.state, at } }] });
    await clock.sleep(50);
  }
  events.start();
  events.publish({ accountId: 'account_001', epoch: 1, seq: 1 });
  let place;
  while (place === undefined && Date.now() < end) {
    await clock.sleep(50);
    place = await events.position('account_001').catch(() => undefined);
  }
  const held = [await events.heldSince('account_001'), await events.heldSince('account_001')].map((at) => typeof at);
  process.stdout.write(JSON.stringify({ nudged: nudges > 0, place, held }));
} catch (cause) {
  process.stdout.write(JSON.stringify({ refused: String(cause) }));
} finally {
  await store.close();
  await events.close();
}
