/**
 * A cold start against the simulator: `npm run bench -- cold-start [accounts] [workers] [bad keys]`. Time from the start
 * of the primary until it says that it is ready (every account has been tried once, the pools are warm, the door is
 * open), and the resident memory of each process. Yardstick beside it: the same gateway with two accounts, which is
 * what the processes cost by themselves.
 */
import { readFileSync } from 'node:fs';
import { startGateway } from '../test/support/gateway-process.js';

export const isBenchmark = true;

const accounts = Number(process.argv[2] ?? 1_000);
const workers = Number(process.argv[3] ?? 2);
const badKeys = Number(process.argv[4] ?? 0);

const empty = await measure(2, 0);
const full = await measure(accounts, badKeys);
show(`${accounts} accounts${badKeys > 0 ? `, ${badKeys} of them with a bad key` : ''}`, full);
show('2 accounts', empty);
const perAccount = (sum(full.workerMb) - sum(empty.workerMb)) / accounts;
console.log(
  `ratio of the time to ready ${(full.readyMs / empty.readyMs).toFixed(1)}; ${(perAccount * 1024).toFixed(0)} KB an account in the workers`,
);

interface ColdStart {
  readonly readyMs: number;
  readonly primaryMb: number;
  readonly workerMb: readonly number[];
  readonly states: Readonly<Record<string, number>>;
}

async function measure(count: number, bad: number): Promise<ColdStart> {
  const gateway = await startGateway({
    accounts: count,
    workers,
    editAccounts: (configured) => {
      for (const account of configured.slice(0, bad)) account.secret_key = `${account.secret_key}-wrong`;
    },
  });
  try {
    const pool = await gateway.pool();
    const states: Record<string, number> = {};
    for (const { state } of pool.accounts) states[state] = (states[state] ?? 0) + 1;
    return {
      readyMs: readyMsOf(gateway.output(), gateway.startedAt),
      primaryMb: rssMb(gateway.primary.pid ?? 0),
      workerMb: pool.workers.map(({ pid }) => rssMb(pid)),
      states,
    };
  } finally {
    await gateway.stop();
  }
}

function readyMsOf(output: string, startedAt: number): number {
  const line = output.split('\n').find((text) => text.includes('"msg":"ready"')) ?? '{}';
  return Date.parse((JSON.parse(line) as { time: string }).time) - startedAt;
}

function rssMb(pid: number): number {
  return Math.round((Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]) * 4096) / 2 ** 20);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}

function show(name: string, { readyMs, primaryMb, workerMb, states }: ColdStart): void {
  const counts = Object.entries(states).map(([state, count]) => `${count} ${state}`);
  console.log(`${name}: ready after ${(readyMs / 1000).toFixed(2)} s (${counts.join(', ')})`);
  console.log(`  RSS: primary ${primaryMb} MB, workers ${workerMb.join(' + ')} MB`);
}
