/**
 * A batch answer put together from the shared table: entries in the order asked, each with its age, and an error entry
 * for every symbol that has none. Never parses a record.
 */
import { recordKey, type QuoteTable } from '../kernel/shared-memory/quote-table.js';
import { SYMBOL_STATES, type ComposedResult, type ComposeTask, type SymbolState } from './tasks.js';

export function composeBatch(task: ComposeTask, table: QuoteTable): ComposedResult {
  table.refresh();
  const missing: number[] = [];
  const parts: Buffer[] = [Buffer.from(`{"${task.listName}":[`)];
  for (const [index, symbol] of task.symbols.entries()) {
    const entry = entryOf(task, table, symbol, SYMBOL_STATES[task.states[index] ?? 0] ?? 'aging');
    if (entry === undefined) missing.push(index);
    else parts.push(index === 0 ? EMPTY : COMMA, entry);
  }
  if (missing.length > 0) return { kind: 'composed', missing };

  parts.push(Buffer.from(`],"count":${String(task.symbols.length)}}`));
  return { kind: 'composed', missing, body: joined(parts, task.room) };
}

const EMPTY = Buffer.alloc(0);
const COMMA = Buffer.from(',');

/** undefined: to be fetched before the answer can be given. */
function entryOf(task: ComposeTask, table: QuoteTable, symbol: string, state: SymbolState): Buffer | undefined {
  if (state === 'malformed') {
    return errorEntry(symbol, 'validation-failed', 'the symbol is malformed');
  }
  if (state === 'unknown') return errorEntry(symbol, 'symbol-not-found', 'the broker knows no such symbol');
  const record = table.read(recordKey(task.recordKind, task.feed, symbol));
  if (record === undefined) {
    if (!task.isFinal) return undefined;
    const failure = task.failure ?? { code: 'market-data-unavailable', detail: 'no value could be fetched' };
    return errorEntry(symbol, failure.code, failure.detail);
  }
  const ageMs = Math.max(0, Math.round(task.now - record.receivedAt));
  const isOld = state !== 'live' && ageMs > task.maxAgeMs;
  if (isOld && !task.isFinal) return undefined;
  const isStale = state === 'gap' || (isOld && state === 'failed');
  return table.finished(record, `,"age_ms":${String(ageMs)}${isStale ? ',"stale":true' : ''}}`);
}

function errorEntry(symbol: string, code: string, detail: string): Buffer {
  return Buffer.from(JSON.stringify({ symbol, error: { code, detail } }));
}

/** One buffer with memory of its own, so that it can be transferred; in `room` where it fits there. */
export function joined(parts: readonly Buffer[], room?: Uint8Array): Buffer {
  const total = parts.reduce((sum, part) => sum + part.length, 0);
  const memory = room !== undefined && room.byteLength >= total ? room.buffer : new ArrayBuffer(total);
  const body = Buffer.from(memory, 0, total);
  let at = 0;
  for (const part of parts) {
    body.set(part, at);
    at += part.length;
  }
  return body;
}

/** A copy with memory of its own where `bytes` shares a pool. */
export function exact(bytes: Buffer): Buffer {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : joined([bytes]);
}
