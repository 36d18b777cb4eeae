import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { QuoteTable, recordKey } from '../../../src/kernel/shared-memory/quote-table.js';
import { quoteText, tradeText } from '../../../src/kernel/shared-memory/record-text.js';
import { sweepStaleTables, tableDirectory } from '../../../src/kernel/shared-memory/table-directory.js';
import { TableWriter } from '../../../src/kernel/shared-memory/table-writer.js';
import { aQuote } from '../../support/scripted-upstream.js';

let base = '';
let open: QuoteTable[] = [];

beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'quote-table-'));
});

afterEach(async () => {
  for (const table of open) await table.close();
  open = [];
  rmSync(base, { recursive: true, force: true });
});

function aTable(): QuoteTable {
  const table = QuoteTable.open(base, 8);
  open.push(table);
  return table;
}

function aWriter(table: QuoteTable, entriesMax = 1_000): TableWriter {
  return new TableWriter(table, {
    entriesMax,
    onFailure: (cause) => {
      throw cause;
    },
  });
}

const KEY = recordKey('quote', 'iex', 'AAPL');

test('the newest of many writes is what another reader sees, with its time of receipt', async () => {
  const [one, two] = [aTable(), aTable()];
  const writer = aWriter(one);

  for (let at = 1; at <= 100; at += 1) writer.put(KEY, at, `{"n":${String(at)}`);
  await writer.flushed();

  two.refresh();
  const record = two.read(KEY);
  expect(record?.receivedAt).toBe(100);
  expect(record === undefined ? '' : two.finished(record, ',"age_ms":5}').toString()).toBe('{"n":100,"age_ms":5}');
});

test('a record read is as long as the record written, whatever was read before', async () => {
  const table = aTable();
  const writer = aWriter(table);
  const texts = ['{"long":"'.padEnd(5_000, 'x'), '{"n":1', '{', '{"middle":"'.padEnd(300, 'y')];
  for (const [at, text] of texts.entries()) writer.put(`K${String(at)}`, at, text);
  await writer.flushed();

  for (const [at, text] of texts.entries()) {
    const record = table.read(`K${String(at)}`);
    expect(record?.text.byteLength).toBe(text.length);
    expect(Buffer.from(record?.text ?? []).toString()).toBe(text);
  }
});

test('a full table lets the records go that were written longest ago, and a successor knows which these are', async () => {
  const table = aTable();
  const first = aWriter(table, 3);
  for (const symbol of ['A', 'B', 'C']) first.put(symbol, 1, '{');
  await first.flushed();
  first.put('A', 2, '{');
  first.put('D', 2, '{');
  await first.close();
  expect([...table.keys()].sort()).toEqual(['A', 'C', 'D']);

  const successor = aWriter(table, 3);
  successor.put('E', 3, '{');
  await successor.close();

  expect(table.keys()).toHaveLength(3);
  expect(table.keys()).toContain('E');
});

test('a closed writer writes nothing more', async () => {
  const table = aTable();
  const writer = aWriter(table);
  await writer.close();

  writer.put('A', 1, '{');
  await writer.flushed();

  expect(table.keys()).toEqual([]);
});

test('the directory is private, and one that others may read is refused', () => {
  const place = { base, instanceId: 'one/two', bootPid: process.pid, sizeMb: 1 };

  const directory = tableDirectory(place);

  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(tableDirectory(place)).toBe(directory);
  const open = join(base, `opitios-quotes-open-${String(process.pid)}`);
  mkdirSync(open, { mode: 0o755 });
  expect(() => tableDirectory({ ...place, instanceId: 'open' })).toThrow('SHARED_MEMORY_BROKEN');
});

test('tables of dead boots are removed and those of living ones stay', () => {
  const alive = tableDirectory({ base, instanceId: 'a', bootPid: 11, sizeMb: 1 });
  const dead = tableDirectory({ base, instanceId: 'b-c', bootPid: 22, sizeMb: 1 });

  const removed = sweepStaleTables(base, (pid) => pid !== 22);

  expect(removed).toEqual([dead]);
  expect(statSync(alive).isDirectory()).toBe(true);
});

test('a record keeps what a double would lose, and invents nothing', () => {
  const origin = { source: 'rest', feed: 'iex' };

  const trade = tradeText('trade', 'AAPL', { p: 1.5, s: 3n, i: 18446744073709551615n, x: 'V', c: ['@'] }, origin);
  const empty = quoteText('option_quote', 'AAPL250620C00100000', { c: 'A' }, origin);

  expect(JSON.parse(`${trade}}`)).toMatchObject({ trade_id: '18446744073709551615', size: 3, timestamp: null });
  expect(JSON.parse(`${empty}}`)).toMatchObject({ bid_price: null, ask_size: null, conditions: ['A'] });
  expect(empty).not.toContain('"tape"');
});

test('text in a record cannot break out of its JSON', () => {
  const text = quoteText('quote', 'A"B', aQuote({ bx: '"},{', c: ['\n'] }), { source: 'rest', feed: 'iex' });

  expect(JSON.parse(`${text}}`)).toMatchObject({ symbol: 'A"B', bid_exchange: '"},{', conditions: ['\n'] });
  expect(text).not.toContain('\n');
});
