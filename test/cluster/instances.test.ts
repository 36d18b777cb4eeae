/** Several gateways, a real Redis and one simulator: who holds what, and what is told when the lease cannot be renewed. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { eventually } from '../support/gateway-process.js';
import { hasRedis } from '../support/redis-process.js';
import { startInstances, type Instances } from '../support/instances.js';

const whenRedis = hasRedis() ? test : test.skip;
let instances: Instances | undefined;

beforeAll(async () => {
  if (hasRedis()) instances = await startInstances(['alpha', 'beta'], { accounts: 8 });
}, 90_000);

afterAll(async () => {
  await instances?.stop();
}, 60_000);

function all(): Instances {
  if (instances === undefined) throw new TypeError('the instances did not start');
  return instances;
}

whenRedis('every account is held by exactly one instance, and each instance holds its share', async () => {
  const { gateways } = all();
  await eventually(async () => {
    const pools = await Promise.all(gateways.map((gateway) => gateway.pool()));
    const held = pools.flatMap(({ accounts }) => accounts.map(({ account_id }) => account_id)).sort();
    return JSON.stringify(held) === JSON.stringify([...(gateways[0]?.accountIds ?? [])].sort());
  }, 'each account at one instance');
  const pools = await Promise.all(gateways.map((gateway) => gateway.pool()));

  expect(pools.map(({ leases }) => leases?.slots.length)).toEqual([32, 32]);
  expect(pools.map(({ leases }) => leases?.members.length)).toEqual([2, 2]);
});
