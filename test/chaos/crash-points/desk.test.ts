/**
 * A process with everything that trades in a worker kills itself at each crash point, again and again on one journal.
 * The broker's book and the audit trail are held against what callers heard.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHECKPOINTS_FILE } from '../../../src/kernel/audit/checkpoint.js';
import { readAudit } from '../../../src/kernel/audit/read.js';
import { verifyAudit } from '../../../src/kernel/audit/verify.js';
import { DeskProcesses, type DeskOrder } from '../../support/killed-desk.js';
import { tell } from '../../support/order-load.js';
import { aRandom } from '../../support/random.js';
import { startSimulatorProcess, type SimulatorProcess } from '../../support/simulator.js';

const POINTS = ['K0', 'K1', 'K2', 'K3', 'K4', 'K5', 'K6'];
/** At each point; `OPITIOS_KILLS=25` for a part of the long form. Two processes live side by side, each on its own journal. */
const KILLS = Number(process.env['OPITIOS_KILLS'] ?? (process.env['OPITIOS_LONG'] === '1' ? 100 : 10));
const LANES = 2;
const ACCOUNTS_A_LANE = 2;
const ORDERS_A_LIFE = 6;
const SEED = Number(process.env['OPITIOS_SEED'] ?? Date.now() % 1_000_000);

let simulator: SimulatorProcess;
let dir: string;
beforeAll(async () => {
  const accounts = String(LANES * ACCOUNTS_A_LANE);
  const args = ['--rate', '100000', '--fills', 'manual', '--cash', '100000000'];
  simulator = await startSimulatorProcess(['--accounts', accounts, ...args]);
  dir = mkdtempSync(join(tmpdir(), 'opitios-kills-'));
}, 60_000);
afterAll(async () => {
  await simulator.close();
  rmSync(dir, { recursive: true, force: true });
});

interface Book {
  idsOf(order: DeskOrder): readonly string[];
  readonly size: number;
}

async function bookOf(accountIds: readonly string[]): Promise<Book> {
  const found = new Map<string, string[]>();
  const lists = await Promise.all(accountIds.map((accountId) => simulator.control.orders({ accountId })));
  const orders = lists.flat();
  for (const order of orders) {
    const place = `${order['account_id']} ${Number(order['limit_price']).toFixed(2)}`;
    found.set(place, [...(found.get(place) ?? []), order['client_order_id']]);
  }
  return { idsOf: ({ accountId, price }) => found.get(`${accountId} ${price}`) ?? [], size: orders.length };
}

async function auditedIntents(dataDir: string): Promise<ReadonlySet<unknown>> {
  const ids = new Set<unknown>();
  for await (const { facts } of readAudit(join(dataDir, 'audit'), { kinds: ['intent'] }))
    ids.add(facts['client_order_id']);
  return ids;
}

/** Every point as often as the others, in an order that the seed decides. */
function deathsOf(lane: number): readonly string[] {
  const random = aRandom(SEED + lane);
  const left = POINTS.flatMap((point) => Array.from({ length: KILLS }, () => point)).filter(
    (_, n) => n % LANES === lane,
  );
  const deaths: string[] = [];
  while (left.length > 0) {
    const [point = ''] = left.splice(random.below(left.length), 1);
    deaths.push(`${point}:${1 + random.below(ORDERS_A_LIFE)}`);
  }
  return deaths;
}

async function killsOf(lane: number): Promise<DeskProcesses> {
  const accounts = simulator.accounts.slice(lane * ACCOUNTS_A_LANE, (lane + 1) * ACCOUNTS_A_LANE);
  const dataDir = join(dir, String(lane));
  const desk = new DeskProcesses({ dataDir, slot: 0, accounts, endpoints: simulator.endpoints });
  for (const death of deathsOf(lane)) await desk.untilKilled(death, ORDERS_A_LIFE);
  await desk.settle(async (order) => (await bookOf([order.accountId])).idsOf(order).length > 0);

  const book = await bookOf(accounts.map(({ accountId }) => accountId));
  const audited = await auditedIntents(dataDir);
  const describe = ({ key, answers }: DeskOrder): string => `${key}: ${answers.slice(-6).join(', ')}`;
  const idsAtBroker = desk.orders.flatMap((order) => book.idsOf(order));
  const isRenamed = (order: DeskOrder): boolean =>
    order.text !== undefined && [...order.named].some((id) => !book.idsOf(order).includes(id));
  const { faults } = await verifyAudit(join(dataDir, 'audit'));
  expect({
    seed: SEED,
    duplicates: desk.orders.filter((order) => book.idsOf(order).length > 1).map(describe),
    lost: desk.orders.filter((order) => order.text !== undefined && book.idsOf(order).length === 0).map(describe),
    untold: desk.orders.filter((order) => order.text === undefined && book.idsOf(order).length > 0).map(describe),
    renamed: desk.orders.filter(isRenamed).map(describe),
    strangers: book.size - idsAtBroker.length,
    unaudited: idsAtBroker.filter((id) => !audited.has(id)),
    replays: desk.wrong,
    // Only the primary signs checkpoints.
    auditFaults: faults.filter(({ file }) => file !== CHECKPOINTS_FILE),
  }).toEqual({
    ...{
      seed: SEED,
      duplicates: [],
      lost: [],
      untold: [],
      renamed: [],
      strangers: 0,
      unaudited: [],
      replays: [],
      auditFaults: [],
    },
  });
  return desk;
}

test(
  'a desk that dies at every crash point, again and again, doubles no order, loses none, and replays what it told',
  async () => {
    const started = performance.now();
    const lanes = await Promise.all(Array.from({ length: LANES }, (_, lane) => killsOf(lane)));
    const kills = lanes.reduce((sum, { kills: some }) => sum + some, 0);
    const orders = lanes.flatMap((lane) => lane.orders);
    const told = orders.filter(({ text }) => text !== undefined).length;
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    tell(
      `desk kills, seed ${SEED}: ${kills} (${KILLS} at each of ${POINTS.join(' ')}), ${orders.length} orders, ` +
        `${told} told, ${orders.length - told} unknown and not at the broker, 0 duplicates, 0 lost, ${seconds} s`,
    );
    expect(kills).toBe(KILLS * POINTS.length);
  },
  120_000 + KILLS * POINTS.length * 20_000,
);
