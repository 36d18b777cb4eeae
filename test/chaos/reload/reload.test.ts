/**
 * Reloads under load: keys rotated, accounts that come and go, files that are damaged. `npm run chaos -- reload` runs the long
 * version: 100 rotations at 200 requests a second, 50 accounts, 500 damaged files.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { trailOf } from '../../support/audit-trail.js';
import {
  eventually,
  startGateway,
  type ConfiguredAccount,
  type GatewayProcess,
} from '../../support/gateway-process.js';
import type { AccountKeys } from '../../../src/simulator/accounts.js';
import { aRandom } from '../../support/random.js';
import { readSteadily, requestsAtRate, steadily, type SteadyRequests } from '../../support/steady-requests.js';

const isLong = process.env['OPITIOS_LONG'] === '1';
/** `OPITIOS_ROTATIONS=20`, `OPITIOS_MUTATIONS=100` for a part of the long form. */
const ROTATIONS = Number(process.env['OPITIOS_ROTATIONS'] ?? (isLong ? 100 : 12));
const PER_SECOND = isLong ? 200 : 50;
const ROUNDS = isLong ? 5 : 1;
const MUTATIONS = Number(process.env['OPITIOS_MUTATIONS'] ?? (isLong ? 500 : 50));
const SPARE_ACCOUNTS = isLong ? 50 : 10;

let gateway: GatewayProcess;
let spare: ConfiguredAccount[] = [];

beforeAll(async () => {
  gateway = await startGateway({
    accounts: 8 + SPARE_ACCOUNTS,
    workers: 2,
    simulator: ['--rate', '100000'],
    config: { alpaca: { rate_limit_per_minute: 100_000 } },
    editAccounts: (accounts) => {
      spare = accounts.splice(8);
    },
  });
}, 90_000);
afterAll(() => gateway.stop(), 60_000);

function tradeSteadily(name: string): SteadyRequests {
  return steadily(2, (turn) => {
    const id = gateway.accountIds[turn % gateway.accountIds.length] ?? '';
    const body = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
    return gateway.post(`/accounts/${id}/orders/stocks`, body, { 'idempotency-key': `${name}-${turn}` });
  });
}

async function reload(): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await gateway.post('/admin/reload', undefined);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** `file watch` reloads too: whoever is asked last has the newest file. */
function edit(change: (config: { trading_accounts: ConfiguredAccount[] } & Record<string, unknown>) => void): void {
  gateway.rewriteConfig((config) => change(config as never));
}

function writeKeys(id: string, { apiKey, secretKey }: AccountKeys): void {
  edit((config) => {
    const account = config.trading_accounts.find(({ account_id }) => account_id === id);
    Object.assign(account ?? {}, { api_key: apiKey, secret_key: secretKey });
  });
}

function giveKeys(id: string, keys: AccountKeys): ReturnType<typeof reload> {
  writeKeys(id, keys);
  return reload();
}

const keysOf = (id: string): AccountKeys => {
  const found = gateway.simulator.accounts.find(({ accountId }) => accountId === id);
  if (found === undefined) throw new TypeError(`no keys of ${id}`);
  return found;
};

test(`${ROTATIONS} keys are rotated at ${PER_SECOND} requests a second, and none of them fails`, async () => {
  const { control } = gateway.simulator;
  const current = new Map(gateway.accountIds.map((id) => [id, keysOf(id)]));
  const startedAt = performance.now();
  const reads = requestsAtRate(PER_SECOND, (turn) =>
    gateway.get(`/accounts/${gateway.accountIds[turn % gateway.accountIds.length] ?? ''}/account`),
  );
  const orders = tradeSteadily('rotation');
  for (let turn = 0; turn < ROTATIONS; turn += 1) {
    const id = gateway.accountIds[turn % gateway.accountIds.length] ?? '';
    const next = await control.issueKeys(id);
    expect(await giveKeys(id, next)).toMatchObject({ status: 200 });
    // From here on only the new pair opens anything.
    await control.revokeKeys(current.get(id)?.apiKey ?? '');
    current.set(id, next);
  }
  await Promise.all([reads.stop(), orders.stop()]);
  const seconds = (performance.now() - startedAt) / 1_000;
  const perSecond = Math.round(reads.answers() / seconds);
  console.log(`${ROTATIONS} rotations, ${perSecond} reads/s and ${orders.answers()} orders in ${seconds.toFixed(0)} s`);

  expect(reads.answers()).toBeGreaterThan(ROTATIONS);
  expect([reads.failed, orders.failed]).toEqual([[], []]);
}, 600_000);

test('keys that the broker refuses stay out, and the whole file with them, while the old ones trade on', async () => {
  const { control } = gateway.simulator;
  const [id = '', other = ''] = gateway.accountIds;
  const whole = readFileSync(gateway.configFile, 'utf8');
  const revoked = await control.issueKeys(id);
  await control.revokeKeys(revoked.apiKey);
  edit((config) => Object.assign(config, { risk: { defaults: { deny_symbols: ['AAPL'] } } }));
  const good = await control.issueKeys(other);
  writeKeys(other, good);

  const refused = await giveKeys(id, revoked);

  expect(refused.status).toBeGreaterThanOrEqual(400);
  expect(JSON.stringify(refused.body)).toContain(`${id}: the broker refuses the new keys`);
  for (const account of [id, other]) {
    const body = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
    expect((await gateway.post(`/accounts/${account}/orders/stocks`, body)).status).toBe(201);
  }
  writeFileSync(gateway.configFile, whole);
  expect((await reload()).status).toBe(200);
}, 60_000);

test('an id that gets the keys of another account at the broker is opened anew', async () => {
  const [id = ''] = gateway.accountIds;
  const numberOf = async (): Promise<unknown> =>
    ((await (await gateway.get(`/accounts/${id}/account?fresh=true`)).json()) as Record<string, unknown>)['id'];
  const whole = readFileSync(gateway.configFile, 'utf8');
  const [stranger] = spare;
  const before = await numberOf();

  expect((await giveKeys(id, keysOf(stranger?.account_id ?? ''))).status).toBe(200);

  expect(await numberOf()).not.toBe(before);
  writeFileSync(gateway.configFile, whole);
  expect((await reload()).status).toBe(200);
  expect(await numberOf()).toBe(before);
}, 60_000);

test(`${SPARE_ACCOUNTS} accounts come and go while others trade`, async () => {
  const reads = readSteadily(gateway, gateway.accountIds);
  const orders = tradeSteadily('neighbours');
  for (let round = 0; round < ROUNDS; round += 1) {
    edit((config) => config.trading_accounts.push(...spare));
    expect((await reload()).status).toBe(200);
    for (const { account_id: id } of spare) expect((await gateway.get(`/accounts/${id}/account`)).status).toBe(200);
    edit((config) => config.trading_accounts.splice(-SPARE_ACCOUNTS));
    expect((await reload()).status).toBe(200);
    for (const { account_id: id } of spare) expect((await gateway.get(`/accounts/${id}/account`)).status).toBe(404);
  }
  await Promise.all([reads.stop(), orders.stop()]);
  console.log(`${ROUNDS} times ${SPARE_ACCOUNTS} accounts, ${reads.answers()} reads, ${orders.answers()} orders`);

  expect(orders.answers()).toBeGreaterThan(0);
  expect([reads.failed, orders.failed]).toEqual([[], []]);
}, 600_000);

type Damage = (whole: string, random: ReturnType<typeof aRandom>) => string | Buffer | undefined;

const edited =
  (change: (config: Record<string, Record<string, unknown>>) => void): Damage =>
  (whole) => {
    const config = JSON.parse(whole) as Record<string, Record<string, unknown>>;
    change(config);
    return JSON.stringify(config);
  };

/** Each makes a file that must not be taken. */
const DAMAGES: readonly [readonly [string, Damage], ...(readonly [string, Damage])[]] = [
  ['cut off', (whole, random) => whole.slice(0, 1 + random.below(whole.length - 3))],
  ['a bracket too few', (whole) => whole.replace(/[\]}]\s*$/, '')],
  ['a key that nobody knows', (whole, random) => whole.replace('{', `{"nobody_knows_${random.below(99)}": 1,`)],
  ['empty', () => ''],
  ['gone', () => undefined],
  ['no UTF-8', (whole, random) => spoiled(whole, random.below(whole.length), 0xff)],
  ['a control character', (whole, random) => spoiled(whole, random.below(whole.length), 0x00)],
  ['a wrong kind of value', edited((config) => Object.assign(config, { server: 'loopback' }))],
  ['text for a number', edited((config) => Object.assign(config['cluster'] ?? {}, { workers: 'two' }))],
  ['a number out of bounds', edited((config) => Object.assign(config['server'] ?? {}, { port: 70_000 }))],
  ['a short secret', edited((config) => Object.assign(config['auth'] ?? {}, { secret: 'short' }))],
  ['no master', edited((config) => Reflect.deleteProperty(config, 'master_account'))],
  [
    'an account twice',
    edited((config) => {
      const accounts = config['trading_accounts'] as unknown as ConfiguredAccount[];
      accounts.push({ ...accounts[0] } as ConfiguredAccount);
    }),
  ],
  [
    'a value sealed under no key',
    edited((config) => Object.assign(config['master_account'] ?? {}, { api_key: 'enc:1.raw.a.b.c' })),
  ],
  ['an alias', () => 'a: &a [1]\nserver: *a\n'],
  ['a list', (whole) => `[${whole}]`],
  ['deep', (whole) => whole.replace('{', `{"x": ${'['.repeat(200)}${']'.repeat(200)},`)],
];

function spoiled(whole: string, at: number, byte: number): Buffer {
  const bytes = Buffer.from(whole);
  bytes[at] = byte;
  return bytes;
}

test(`${MUTATIONS} mutilated files change nothing and disturb nobody`, async () => {
  const whole = readFileSync(gateway.configFile, 'utf8');
  const before = await gateway.pool();
  const random = aRandom(7);
  const reads = readSteadily(gateway, gateway.accountIds);
  const taken: string[] = [];
  for (let turn = 0; turn < MUTATIONS; turn += 1) {
    const [name, damage] = DAMAGES[turn % DAMAGES.length] ?? DAMAGES[0];
    const damaged = damage(whole, random);
    const isReplaced = random.below(2) === 0;
    if (damaged === undefined) rmSync(gateway.configFile, { force: true });
    else writeFileSync(isReplaced ? `${gateway.configFile}.new` : gateway.configFile, damaged);
    // As an editor replaces a file.
    if (damaged !== undefined && isReplaced) renameSync(`${gateway.configFile}.new`, gateway.configFile);
    if ((await reload()).status === 200) taken.push(`${turn}: ${name}`);
  }
  writeFileSync(gateway.configFile, whole);
  await reads.stop();
  console.log(`${MUTATIONS} damaged files, ${reads.answers()} requests`);

  expect(taken).toEqual([]);
  expect(reads.failed).toEqual([]);
  const after = await gateway.pool();
  expect(after.workers.map(({ pid }) => pid)).toEqual(before.workers.map(({ pid }) => pid));
  expect(after.accounts.map(({ account_id }) => account_id).sort()).toEqual([...gateway.accountIds].sort());
}, 300_000);

test('what needs a restart is named, the rest is in force, and the trail tells both and each refusal', async () => {
  edit((config) => {
    config['limits'] = { in_flight_max: 77 };
    config['risk'] = { defaults: { deny_symbols: ['MSFT'] } };
    config['server'] = { ...(config['server'] as object), port: 1 };
  });
  const { body } = await reload();
  expect(body).toMatchObject({ reloaded: true });
  expect(body['needRestart']).toEqual(['limits.inFlightMax', 'server.port']);
  const [id = ''] = gateway.accountIds;
  const order = { symbol: 'MSFT', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
  expect((await gateway.post(`/accounts/${id}/orders/stocks`, order)).status).toBe(422);
  // A worker that starts later has the new configuration too.
  const pid = await gateway.signalWorker((await gateway.pool()).workers[0]?.slot ?? 0, 'SIGKILL');
  await eventually(async () => {
    const { workers } = await gateway.pool();
    return workers.length === 2 && workers.every((one) => one.pid !== pid && one.state === 'ready');
  }, 'the worker is replaced');
  for (const account of gateway.accountIds)
    expect([account, (await gateway.post(`/accounts/${account}/orders/stocks`, order)).status]).toEqual([account, 422]);

  const trail = trailOf(gateway);
  expect(trail).toContain('"result":"applied"');
  expect(trail).toContain('"result":"refused"');
}, 120_000);
