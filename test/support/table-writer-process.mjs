/** Writes 200 records over and over until it is killed. Runs the built program's writer. */
import { QuoteTable, recordKey } from '../../dist/kernel/shared-memory/quote-table.js';
import { TableWriter } from '../../dist/kernel/shared-memory/table-writer.js';

const table = QuoteTable.open(process.argv[2], 16);
const writer = new TableWriter(table, { entriesMax: 1_000, onFailure: (cause) => process.send?.(String(cause)) });
for (let n = 1; ; n += 1) {
  for (let index = 0; index < 200; index += 1) writer.put(recordKey('quote', 'iex', `S${index}`), n, `{"n":${n}`);
  await writer.flushed();
}
