/** What a successor knows, in the moment in which it has the account, of an order whose process was killed. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import { startSimulatorProcess, type SimulatorProcess } from '../../support/simulator.js';

const PROGRAM = new URL('../../support/desk-process.mjs', import.meta.url).pathname;
const ID = 'mine';
let simulator: SimulatorProcess;
let dir: string;
beforeAll(async () => {
  simulator = await startSimulatorProcess(['--accounts', '4', '--fills', 'manual']);
  dir = mkdtempSync(join(tmpdir(), 'opitios-first-byte-'));
}, 60_000);
afterAll(async () => {
  await simulator.close();
  rmSync(dir, { recursive: true, force: true });
});

let epoch = 0;

/** One process: gives it each question once it is ready, collects what it answers until it ends. */
async function life(index: number, crashAt: string, questions: readonly object[]): Promise<readonly any[]> {
  const keys = simulator.accounts[index];
  const { endpoints } = simulator;
  const config = {
    ...{
      dataDir: join(dir, String(index)),
      cluster: {},
      streams: { ringSize: 100 },
      risk: { defaults: {}, accounts: {} },
    },
    marketData: { sharedMemoryDir: dir },
    orders: {
      ...{ requireIdempotencyKey: false, ambiguous: 'reconcile_only', answerDeadlineMs: 1_000 },
      ...{ quarantineAfterMs: 900_000, onLate: 'keep', keepKeysDays: 9 },
    },
    alpaca: {
      ...{ requestTimeoutMs: 5_000, poolConnections: 2, rateLimitPerMinute: 10_000 },
      endpoints: { tradingPaper: endpoints.trading, streamTradingPaper: endpoints.streamTrading },
    },
  };
  const told = JSON.stringify({ slot: 0, epoch: (epoch += 1), accounts: [keys], config, crashAt });
  const child = spawn(process.execPath, [PROGRAM, told], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_ENV: 'test' },
  });
  child.stdin.on('error', () => undefined);
  const answers: unknown[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    const answer = JSON.parse(line) as { readonly ready?: boolean };
    if (answer.ready !== true) answers.push(answer);
    else for (const question of questions) child.stdin.write(`${JSON.stringify(question)}\n`);
    if (answers.length === questions.length) child.stdin.end();
  });
  await once(child, 'close');
  return answers;
}

const accountOf = (index: number): string => simulator.accounts[index]?.accountId ?? '';
const order = (index: number): object => ({
  ...{ n: 1, accountId: accountOf(index) },
  order: {
    ...{ symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', time_in_force: 'day', limit_price: '1.00' },
    client_order_id: ID,
  },
});
const lookup = (index: number): object => ({ n: 2, accountId: accountOf(index), lookup: ID });
const atBroker = async (index: number): Promise<number> =>
  (await simulator.control.orders({ accountId: accountOf(index) })).length;

test('killed before the first byte: `order-not-sent` at once after the takeover, and the same id is placed', async () => {
  expect(await life(0, 'K2', [order(0)])).toEqual([]);
  expect(await life(0, '', [lookup(0)])).toEqual([{ n: 2, status: 'order-not-sent' }]);
  expect(await atBroker(0)).toBe(0);

  expect(await life(0, '', [order(0)])).toMatchObject([{ n: 1, status: 201 }]);
  expect(await atBroker(0)).toBe(1);
});

test('killed after the first byte: unknown after the takeover, and resolved', async () => {
  const [blind] = await simulator.control.switchOn({
    fault: { kind: 'status', status: 503 },
    ...{ accounts: [accountOf(1)], method: 'GET', path: '/v2/orders*' },
  });
  expect(await life(1, 'K3', [order(1)])).toEqual([]);
  expect(await life(1, '', [lookup(1)])).toEqual([{ n: 2, status: 202 }]);
  await simulator.control.switchOff(blind);

  let told: unknown;
  while (told !== 201) [{ status: told }] = (await life(1, '', [order(1)])) as [any];
  expect(told).toBe(201);
  expect(await atBroker(1)).toBe(1);
});

test('with the shared memory emptied, a kill before the first byte proves nothing: 202, and nothing is sent twice', async () => {
  expect(await life(2, 'K2', [order(2)])).toEqual([]);
  for (const name of readdirSync(dir))
    if (name.startsWith('opitios-sent-')) rmSync(join(dir, name), { recursive: true });

  expect(await life(2, '', [lookup(2)])).toEqual([{ n: 2, status: 202 }]);
  expect(await life(2, '', [order(2)])).toMatchObject([{ n: 1, status: 202 }]);
  expect(await atBroker(2)).toBe(0);
});
