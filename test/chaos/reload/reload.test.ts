import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import {
  eventually,
  startGateway,
  type ConfiguredAccount,
  type GatewayProcess,
} from '../../support/gateway-process.js';
import { aRandom } from '../../support/random.js';
import { readSteadily, steadily } from '../../support/steady-requests.js';

const isLong = process.env['OPITIOS_LONG'] === '1';
const ROTATIONS = isLong ? 500 : 30;
const ROUNDS = isLong ? 10 : 1;
const MUTATIONS = 50;
const SPARE_ACCOUNTS = 10;

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

async function reload(): Promise<{ readonly status: number; readonly body: Record<string, unknown> }> {
  const response = await gateway.post('/admin/reload', undefined);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

/** `file watch` reloads too: whoever is asked last has the newest file. */
function edit(change: (config: { trading_accounts: ConfiguredAccount[] } & Record<string, unknown>) => void): void {
  gateway.rewriteConfig((config) => change(config as never));
}

test(`${ROTATIONS} keys are rotated while requests run, and none of them fails`, async () => {
  const reads = readSteadily(gateway, gateway.accountIds);
  const orders = steadily(2, (turn) => {
    const id = gateway.accountIds[turn % gateway.accountIds.length] ?? '';
    const body = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'market', time_in_force: 'day' };
    return gateway.post(`/accounts/${id}/orders/stocks`, body, { 'idempotency-key': `rotation-${turn}` });
  });
  for (let turn = 0; turn < ROTATIONS; turn += 1) {
    const id = gateway.accountIds[turn % gateway.accountIds.length] ?? '';
    // Keys of an account that is not configured now: each is used by one account at a time.
    const [next, ...others] = spare;
    edit((config) => {
      const account = config.trading_accounts.find(({ account_id }) => account_id === id);
      if (account === undefined || next === undefined) return;
      spare = [...others, { ...next, api_key: account.api_key, secret_key: account.secret_key }];
      Object.assign(account, { api_key: next.api_key, secret_key: next.secret_key });
    });
    expect(await reload()).toMatchObject({ status: 200 });
  }
  await Promise.all([reads.stop(), orders.stop()]);

  expect(reads.answers()).toBeGreaterThan(ROTATIONS);
  expect([reads.failed, orders.failed]).toEqual([[], []]);
}, 600_000);

test(`${SPARE_ACCOUNTS} accounts come and go while others trade`, async () => {
  const reads = readSteadily(gateway, gateway.accountIds);
  for (let round = 0; round < ROUNDS; round += 1) {
    edit((config) => config.trading_accounts.push(...spare));
    expect((await reload()).status).toBe(200);
    for (const { account_id: id } of spare) expect((await gateway.get(`/accounts/${id}/account`)).status).toBe(200);
    edit((config) => config.trading_accounts.splice(-SPARE_ACCOUNTS));
    expect((await reload()).status).toBe(200);
    for (const { account_id: id } of spare) expect((await gateway.get(`/accounts/${id}/account`)).status).toBe(404);
  }
  await reads.stop();

  expect(reads.failed).toEqual([]);
}, 600_000);

test(`${MUTATIONS} mutilated files change nothing and disturb nobody`, async () => {
  const whole = readFileSync(gateway.configFile, 'utf8');
  const before = await gateway.pool();
  const random = aRandom(7);
  const reads = readSteadily(gateway, gateway.accountIds);
  let refused = 0;
  for (let turn = 0; turn < MUTATIONS; turn += 1) {
    const at = 1 + random.below(whole.length - 3);
    // Cut off, a bracket too few, or a key that nobody knows.
    const cut = whole.slice(0, at);
    const unknown = whole.replace('{', `{"nobody_knows_${turn}": ${turn},`);
    writeFileSync(gateway.configFile, [cut, whole.replace(/[\]}]\s*$/, ''), unknown][turn % 3] ?? '');
    refused += (await reload()).status === 200 ? 0 : 1;
  }
  writeFileSync(gateway.configFile, whole);
  await reads.stop();

  expect(refused).toBe(MUTATIONS);
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

  const dir = `${gateway.dir}/data/audit/primary`;
  const trail = readdirSync(dir)
    .map((name) => readFileSync(`${dir}/${name}`, 'utf8'))
    .join('');
  expect(trail).toContain('"result":"applied"');
  expect(trail).toContain('"result":"refused"');
}, 120_000);
