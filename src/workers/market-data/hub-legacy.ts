/**
 * What a hub leaves to its successor, in the shared table because that outlives both: the symbols it had subscribed
 * because they are read. What clients want is not here: their workers say it themselves.
 */
import type { QuoteTable } from '../../kernel/shared-memory/quote-table.js';
import type { TableWriter } from '../../kernel/shared-memory/table-writer.js';
import type { AdaptiveEntry } from './subscription-book.js';
import { normalizeSymbol } from './symbols.js';

/** No record of a symbol has this key: their kinds are lower case. */
const KEY = 'HUB@adaptive';

export function leaveLegacy(writer: TableWriter, entries: readonly AdaptiveEntry[], now: number): void {
  writer.put(KEY, now, JSON.stringify(entries));
}

/** Empty when there is none, or none that can be read. */
export function readLegacy(table: QuoteTable): readonly AdaptiveEntry[] {
  table.refresh();
  const record = table.read(KEY);
  if (record === undefined) return [];
  try {
    const entries: unknown = JSON.parse(Buffer.from(record.text).toString('utf8'));
    return Array.isArray(entries) ? entries.filter(isEntry) : [];
  } catch {
    return [];
  }
}

function isEntry(value: unknown): value is AdaptiveEntry {
  if (!Array.isArray(value)) return false;
  const [symbol, score] = value as readonly unknown[];
  return (
    typeof symbol === 'string' && normalizeSymbol('stock', symbol) === symbol && typeof score === 'number' && score >= 0
  );
}
