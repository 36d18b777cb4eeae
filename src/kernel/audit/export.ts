/** Audit records for people and spreadsheets: JSON lines as they stand, or CSV with the facts as one JSON column. */
import type { AuditQuery, AuditRecord } from './audit-log.js';
import { readAudit } from './read.js';

export type ExportFormat = 'jsonl' | 'csv';

const COLUMNS = [
  'at',
  'writer',
  'seq',
  'kind',
  'accountId',
  'subject',
  'requestId',
  'traceId',
  'facts',
  'hash',
] as const;

/** Lines with their newline; CSV begins with its header (RFC 4180). */
export async function* exportAudit(dir: string, query: AuditQuery, format: ExportFormat): AsyncGenerator<string> {
  if (format === 'csv') yield `${COLUMNS.join(',')}\r\n`;
  for await (const record of readAudit(dir, query)) {
    yield format === 'csv' ? csvLine(record) : `${JSON.stringify(record)}\n`;
  }
}

function csvLine(record: AuditRecord): string {
  return `${COLUMNS.map((column) => csvField(textOf(record[column]))).join(',')}\r\n`;
}

function textOf(value: string | number | Readonly<Record<string, unknown>> | undefined): string {
  if (value === undefined) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** A spreadsheet runs a cell that begins with one of these as a formula; a leading quote keeps it text. */
function csvField(text: string): string {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
