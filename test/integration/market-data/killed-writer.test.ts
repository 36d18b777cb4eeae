import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { QuoteTable, recordKey } from '../../../src/kernel/shared-memory/quote-table.js';
import { TableWriter } from '../../../src/kernel/shared-memory/table-writer.js';
import { eventually } from '../../support/eventually.js';

const directory = mkdtempSync(join(tmpdir(), 'killed-writer-'));

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

test('a writer killed in the middle leaves a table that all can read and a successor can write', async () => {
  const program = new URL('../../support/table-writer-process.mjs', import.meta.url).pathname;
  const table = QuoteTable.open(directory, 16);
  const keys = Array.from({ length: 200 }, (_, index) => recordKey('quote', 'iex', `S${String(index)}`));

  for (let kill = 0; kill < 3; kill += 1) {
    const writer = fork(program, [directory]);
    await eventually('it writes', () => {
      table.refresh();
      return keys.every((key) => table.read(key) !== undefined);
    });
    const before = table.read(keys[0] ?? '')?.receivedAt ?? 0;
    await eventually('it goes on writing', () => {
      table.refresh();
      return (table.read(keys[0] ?? '')?.receivedAt ?? 0) > before;
    });
    writer.kill('SIGKILL');
    await once(writer, 'exit');

    table.refresh();
    for (const key of keys) {
      const record = table.read(key);
      // Whole records only: the text names the time that the head carries.
      expect(record === undefined ? '' : table.finished(record, '}').toString()).toBe(
        `{"n":${String(record?.receivedAt)}}`,
      );
    }
  }

  const successor = new TableWriter(table, {
    entriesMax: 1_000,
    onFailure: (cause) => {
      throw cause;
    },
  });
  successor.put(keys[0] ?? '', 7, '{"n":7');
  await successor.close();
  table.refresh();
  expect(table.read(keys[0] ?? '')?.receivedAt).toBe(7);
  await table.close();
});
