/** A page of latest quotes, trades or snapshots turned into table records. What the broker left out is simply absent. */
import { encodeRecord, type RecordKind } from '../kernel/shared-memory/quote-table.js';
import {
  barText,
  isRecord,
  quoteText,
  snapshotText,
  tradeText,
  type BrokerRecord,
} from '../kernel/shared-memory/record-text.js';
import { mapIn, parsePage } from './alpaca-json.js';
import { packRecords, type LatestTask, type PackedRecord, type RecordsResult } from './tasks.js';

export function latestRecords(task: LatestTask): RecordsResult {
  const page = parsePage([task.page]);
  const records: PackedRecord[] = [];
  const add = (recordKind: RecordKind, symbol: string, text: string): void => {
    records.push({ recordKind, symbol, value: encodeRecord(task.receivedAt, text) });
  };
  for (const [symbol, value] of entriesOf(page, task.recordKind)) {
    if (!isRecord(value)) continue;
    add(task.recordKind, symbol, textOf(task, symbol, value));
    if (task.recordKind !== 'snapshot') continue;
    // A snapshot's bars are the latest bars too. Its quote and trade are not taken: the stream may have newer ones.
    const { minuteBar, dailyBar } = value;
    if (isRecord(minuteBar)) add('minute_bar', symbol, barText(symbol, minuteBar, task.origin));
    if (isRecord(dailyBar)) add('daily_bar', symbol, barText(symbol, dailyBar, task.origin));
  }
  return { kind: 'records', packed: packRecords(records) };
}

function entriesOf(page: BrokerRecord, recordKind: RecordKind): readonly (readonly [string, unknown])[] {
  // Stock snapshots are a bare map; newer answers may wrap it.
  if (recordKind === 'snapshot') return isRecord(page['snapshots']) ? mapIn(page, 'snapshots') : Object.entries(page);
  return mapIn(page, recordKind.endsWith('quote') ? 'quotes' : 'trades');
}

function textOf(task: LatestTask, symbol: string, record: BrokerRecord): string {
  switch (task.recordKind) {
    case 'quote':
    case 'option_quote':
      return quoteText(task.recordKind, symbol, record, task.origin);
    case 'trade':
    case 'option_trade':
      return tradeText(task.recordKind, symbol, record, task.origin);
    case 'snapshot':
      return snapshotText(symbol, record, task.origin);
    case 'minute_bar':
    case 'daily_bar':
      return barText(symbol, record, task.origin);
  }
}
