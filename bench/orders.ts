/**
 * Added time of the order path: the same order to the same local broker, once straight over the same wire and once
 * through the desk, alternating in one run, so that a noisy machine is noisy for both. `memory` is the desk with a
 * journal and an audit trail on tmpfs, where a sync costs nothing: the difference is the price of durability.
 * Run: `npm run bench -- orders`.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startSimulator } from '../src/simulator/simulator.js';
import { aDeskOn, type DeskOnSimulator } from '../test/support/desk-on-simulator.js';

export const isBenchmark = true;

const ORDERS = 1_000;
const WARM_UP = 200;

async function measure(
  dataDir: string,
): Promise<{ readonly direct: readonly number[]; readonly desk: readonly number[] }> {
  const simulator = await startSimulator({ accounts: 1, requestsPerMinute: 1_000_000 });
  const gateway = await aDeskOn(simulator, { dataDir });
  const direct: number[] = [];
  const desk: number[] = [];
  for (let number = -WARM_UP; number < ORDERS; number += 1) {
    const straight = await timed(() => sendStraight(gateway, number));
    const through = await timed(() => sendThrough(gateway, number));
    if (number < 0) continue;
    direct.push(straight);
    desk.push(through);
  }
  await gateway.close();
  await simulator.close();
  return { direct, desk };
}

const order = { symbol: 'AAPL', side: 'buy', type: 'limit', time_in_force: 'day', qty: '1', limit_price: '1.00' };

async function sendStraight({ wire }: DeskOnSimulator, number: number): Promise<void> {
  const body = JSON.stringify({ ...order, client_order_id: `direct-${number}` });
  const reply = await wire.send({ method: 'POST', path: '/v2/orders', body, deadlineMs: 5_000 });
  if (reply.kind !== 'answered' || reply.status !== 200) throw new TypeError('the broker did not take a direct order');
}

async function sendThrough({ desk, accountId }: DeskOnSimulator, number: number): Promise<void> {
  const answer = await desk.execute(
    { kind: 'submit-order', accountId, assetClass: 'stocks', order, idempotencyKey: `desk-${number}`, dryRun: false },
    { requestId: 'bench', subject: 'bench', budgetMs: 10_000 },
  );
  if (answer.kind !== 'answer' || answer.status !== 201) throw new TypeError('the desk did not place an order');
}

async function timed(run: () => Promise<void>): Promise<number> {
  const startedAt = performance.now();
  await run();
  return performance.now() - startedAt;
}

function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function report(name: string, { direct, desk }: Awaited<ReturnType<typeof measure>>): void {
  const added = desk.map((ms, index) => ms - (direct[index] ?? 0));
  const row = (values: readonly number[]): string =>
    `${quantile(values, 0.5).toFixed(2)} | ${quantile(values, 0.99).toFixed(2)}`;
  const ratio = (quantile(desk, 0.5) / quantile(direct, 0.5)).toFixed(2);
  console.log(`| ${name} | ${row(direct)} | ${row(desk)} | ${row(added)} | ${ratio} |`);
}

console.log(`${ORDERS} orders one after another, milliseconds`);
console.log(
  '| journal and audit on | direct p50 | p99 | desk p50 | p99 | added p50 | p99 | ratio of p50 |\n|---|---|---|---|---|---|---|---|',
);
const places = [
  ['disk, synced', tmpdir()],
  ['memory', '/dev/shm'],
] as const;
for (const [name, parent] of places.filter(([, path]) => existsSync(path))) {
  const dataDir = mkdtempSync(join(parent, 'opitios-bench-'));
  report(name, await measure(dataDir));
  rmSync(dataDir, { recursive: true, force: true });
}
