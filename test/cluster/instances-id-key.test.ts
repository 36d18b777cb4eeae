/** Several instances and the secret that client order ids are derived with: all use one, and a change is followed. */
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { callerOf } from '../support/gateway-orders.js';
import { eventually } from '../support/gateway-process.js';
import { startInstances, type Instances } from '../support/instances.js';
import { hasRedis } from '../support/redis-process.js';

const whenRedis = hasRedis() ? test : test.skip;
const ORDER = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: '1.00' };

let instances: Instances | undefined;
const dir = mkdtempSync(join(tmpdir(), 'opitios-id-keys-'));

afterEach(async () => {
  await instances?.stop();
  instances = undefined;
}, 60_000);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

function aKeyFile(): string {
  const file = join(dir, randomUUID());
  writeFileSync(file, randomBytes(32).toString('base64'), { mode: 0o600 });
  return file;
}

/** Each instance has the file that is given under its name; none where there is none. */
function withKeys(files: Readonly<Record<string, string>>): (config: Record<string, unknown>) => void {
  return (config) => {
    const name = (config['cluster'] as { readonly instance_id: string }).instance_id;
    const file = files[name];
    if (file !== undefined) config['orders'] = { id_key_file: file };
  };
}

whenRedis(
  'an instance with another id key than the others takes no orders, and says so',
  async () => {
    const files = { alpha: aKeyFile(), beta: aKeyFile() };
    instances = await startInstances(['alpha'], { accounts: 4, gateway: { editConfig: withKeys(files) } });
    const alpha = instances.named('alpha');
    const beta = await instances.add('beta');
    const owned = async (): Promise<string> => (await beta.pool()).accounts[0]?.account_id ?? '';
    await eventually(async () => (await owned()) !== '', 'beta holds accounts');

    const refused = await (await callerOf(beta))('POST', `/accounts/${await owned()}/orders/stocks`, ORDER);
    // A worker says what the primary sent it with the last beat.
    await eventually(async () => (await fetch(`${beta.url}/health/ready`)).status === 503, 'beta is not ready');
    const ready = await fetch(`${beta.adminUrl}/health/ready`);
    const [taken] = (await alpha.pool()).accounts;
    const placed = await (await callerOf(alpha))('POST', `/accounts/${taken?.account_id ?? ''}/orders/stocks`, ORDER);

    expect([refused.status, refused.json['code']]).toEqual([503, 'order-not-sent']);
    expect(String(refused.json['detail'])).toContain('orders.id_key_file differs');
    expect(await ready.text()).toContain('orders.id_key_file differs');
    expect(placed.status).toBe(201);
  },
  120_000,
);

whenRedis(
  'a key that was used before the id key was set names the same order at another instance',
  async () => {
    const files = { beta: aKeyFile() };
    instances = await startInstances(['alpha'], { accounts: 2, gateway: { editConfig: withKeys(files) } });
    const alpha = instances.named('alpha');
    const path = `/accounts/${alpha.accountIds[0] ?? ''}/orders/stocks`;
    const key = { 'idempotency-key': randomUUID() };
    const first = await (await callerOf(alpha))('POST', path, ORDER, key);
    alpha.primary.kill('SIGTERM');
    await eventually(() => alpha.primary.exitCode !== null, 'alpha has stopped');
    // No instance uses the namespace before any more: half a minute later this is so by itself.
    const client = createClient({ url: instances.redis.url });
    await client.connect();
    await client.del('{opitios:}:order-id-namespace');
    client.destroy();

    const beta = await instances.add('beta');
    const call = await callerOf(beta);
    await eventually(async () => (await beta.pool()).accounts.length === 2, 'beta holds the accounts');
    const again = await call('POST', path, ORDER, key);
    const other = await call('POST', path, ORDER, { 'idempotency-key': randomUUID() });

    expect(first.status).toBe(201);
    expect([again.status, again.json['id']]).toEqual([201, first.json['id']]);
    expect(other.status).toBe(201);
    expect(other.json['id']).not.toBe(first.json['id']);
    expect((await beta.simulator.control.orders()).length).toBe(2);
  },
  120_000,
);

whenRedis(
  'of two ids of one brokerage account at two instances the first of the configuration trades',
  async () => {
    instances = await startInstances(['alpha', 'beta'], { accounts: 6 });
    const { gateways, simulator } = instances;
    const [alpha, beta] = gateways;
    if (alpha === undefined || beta === undefined) throw new TypeError('two instances were started');
    const holds = async (of: typeof alpha): Promise<readonly string[]> =>
      (await of.pool()).accounts.map(({ account_id: id }) => id).sort();
    await eventually(async () => (await holds(alpha)).length + (await holds(beta)).length === 6, 'all are held');
    // The one that stands first is at one instance, the other one at the other.
    const [heldByAlpha, heldByBeta] = [await holds(alpha), await holds(beta)];
    const isAlphaFirst = (heldByAlpha[0] ?? '') < (heldByBeta.at(-1) ?? '');
    const [first, second] = isAlphaFirst
      ? [heldByAlpha[0] ?? '', heldByBeta.at(-1) ?? '']
      : [heldByBeta[0] ?? '', heldByAlpha.at(-1) ?? ''];
    const keys = await simulator.control.issueKeys(first);
    for (const gateway of gateways)
      gateway.rewriteConfig((config) => {
        const accounts = config['trading_accounts'] as { account_id: string }[];
        const other = accounts.find(({ account_id: id }) => id === second);
        Object.assign(other ?? {}, { api_key: keys.apiKey, secret_key: keys.secretKey });
      });

    const owner = isAlphaFirst ? beta : alpha;
    await eventually(async () => {
      const { accounts } = await owner.pool();
      return accounts.some(({ account_id: id, state }) => id === second && state === 'failed');
    }, 'the second is refused by its owner');
    const call = await callerOf(owner);
    const refused = await call('POST', `/accounts/${second}/orders/stocks`, ORDER);
    const placed = await call('POST', `/accounts/${first}/orders/stocks`, ORDER);

    expect([refused.status, refused.json['code']]).toEqual([503, 'order-not-sent']);
    expect(String(refused.json['detail'])).toContain(first);
    expect(placed.status).toBe(201);
  },
  120_000,
);
