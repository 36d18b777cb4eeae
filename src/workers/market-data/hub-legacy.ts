/**
 * What a hub leaves to its successor, in the shared table because that outlives both: the symbols it had subscribed
 * because they are read, and what its keys may still ask of the broker. What clients want is not here: their workers
 * say it themselves. A follower leaves the same of a hub in another instance, for the hub that may come here.
 */
import type { QuoteTable } from '../../kernel/shared-memory/quote-table.js';
import type { TableWriter } from '../../kernel/shared-memory/table-writer.js';
import type { BudgetsLeft } from './sources.js';
import type { AdaptiveEntry } from './subscription-book.js';
import { normalizeSymbol } from './symbols.js';

/** No record of a symbol has these keys: their kinds are lower case. */
const ADAPTIVE_KEY = 'HUB@adaptive';
const BUDGETS_KEY = 'HUB@budgets';

export function leaveAdaptive(writer: TableWriter, entries: readonly AdaptiveEntry[], now: number): void {
  writer.put(ADAPTIVE_KEY, now, JSON.stringify(entries));
}

export function leaveBudgets(writer: TableWriter, left: BudgetsLeft, now: number): void {
  writer.put(BUDGETS_KEY, now, JSON.stringify(left));
}

/** Empty when there is none, or none that can be read. */
export function readAdaptive(table: QuoteTable): readonly AdaptiveEntry[] {
  return adaptiveEntries(read(table, ADAPTIVE_KEY)?.value);
}

/** Undefined when there is none, or none that can be read. `at` is wall clock milliseconds. */
export function readBudgets(table: QuoteTable): { readonly left: BudgetsLeft; readonly at: number } | undefined {
  const found = read(table, BUDGETS_KEY);
  const left = found === undefined ? undefined : budgetsLeft(found.value);
  return found === undefined || left === undefined ? undefined : { left, at: found.at };
}

/** What of a value from outside is such a list. */
export function adaptiveEntries(value: unknown): readonly AdaptiveEntry[] {
  return Array.isArray(value) ? value.filter(isEntry) : [];
}

export function budgetsLeft(value: unknown): BudgetsLeft | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  return Object.values(value).every(isPair) ? (value as BudgetsLeft) : undefined;
}

function read(table: QuoteTable, key: string): { readonly value: unknown; readonly at: number } | undefined {
  table.refresh();
  const record = table.read(key);
  if (record === undefined) return undefined;
  try {
    return { value: JSON.parse(Buffer.from(record.text).toString('utf8')) as unknown, at: record.receivedAt };
  } catch {
    return undefined;
  }
}

function isEntry(value: unknown): value is AdaptiveEntry {
  if (!Array.isArray(value)) return false;
  const [symbol, score] = value as readonly unknown[];
  return (
    typeof symbol === 'string' && normalizeSymbol('stock', symbol) === symbol && typeof score === 'number' && score >= 0
  );
}

function isPair(value: unknown): boolean {
  return Array.isArray(value) && value.length === 2 && value.every((count) => typeof count === 'number' && count >= 0);
}
