/** One task, done where it is called: in a thread, inline in a worker that has no threads, or in a test. */
import { unreachable } from '../kernel/domain/errors.js';
import type { QuoteTable } from '../kernel/shared-memory/quote-table.js';
import { composeBatch } from './compose-batch.js';
import { mergeBars, mergeOptionBars } from './histories.js';
import { latestRecords } from './latest-records.js';
import { mergeChain } from './option-chain.js';
import type { ComposeTask, Task, TaskResult } from './tasks.js';

/** Gives the open table of a place; whoever opened it closes it. */
export type TableOf = (table: ComposeTask['table']) => QuoteTable;

export function runTask(task: Task, tableOf: TableOf): TaskResult {
  switch (task.kind) {
    case 'compose':
      return composeBatch(task, tableOf(task.table));
    case 'latest':
      return latestRecords(task);
    case 'bars':
      return mergeBars(task);
    case 'option-bars':
      return mergeOptionBars(task);
    case 'chain':
      return mergeChain(task);
    default:
      return unreachable(task);
  }
}
