/** The thread's entry, loaded by Piscina. Opens the shared table on first use and keeps it for the thread's life. */
import { setPriority } from 'node:os';
import { move, transferableSymbol, valueSymbol } from 'piscina';
import { QuoteTable } from '../kernel/shared-memory/quote-table.js';
import { runTask, type TableOf } from './run-task.js';
import type { Task, TaskResult } from './tasks.js';

/** Whoever asks for one quote goes before a batch that fills the processor. Linux counts this for the calling thread alone. */
const BATCH_NICENESS = 10;
if (process.platform === 'linux') setPriority(BATCH_NICENESS);

const tables = new Map<string, QuoteTable>();

const tableOf: TableOf = ({ directory, sizeMb }) => {
  const known = tables.get(directory);
  if (known !== undefined) return known;
  const table = QuoteTable.open(directory, sizeMb);
  tables.set(directory, table);
  return table;
};

/** Piscina's `name` option picks this export. The bytes of a result leave with it instead of being copied. */
export function work(task: Task): unknown {
  const result = runTask(task, tableOf);
  return move({ [transferableSymbol]: buffersOf(result), [valueSymbol]: result });
}

function buffersOf(result: TaskResult): readonly unknown[] {
  switch (result.kind) {
    case 'composed':
      return result.body === undefined ? [] : [result.body.buffer];
    case 'records':
      return [result.packed.buffer];
    case 'body':
      return result.gzip === undefined ? [result.body.buffer] : [result.body.buffer, result.gzip.buffer];
  }
}
