/** Reads audit records of all writers in the order of their time. Verifies nothing: that is verify.ts. */
import type { AuditQuery, AuditRecord } from './audit-log.js';
import { parseRecord } from './chain.js';
import { dayOf, listSegments, listWriters, readLines, type Line } from './segments.js';

export async function* readAudit(dir: string, query: AuditQuery): AsyncGenerator<AuditRecord> {
  const writers = await listWriters(dir);
  const streams = writers.map((writer) => recordsOf(dir, writer, query));
  let left = query.limit ?? Infinity;
  for await (const record of mergeByTime(streams)) {
    if (left <= 0) return;
    left -= 1;
    yield record;
  }
}

async function* recordsOf(dir: string, writer: string, query: AuditQuery): AsyncGenerator<AuditRecord> {
  const account = query.accountId === undefined ? undefined : `"accountId":${JSON.stringify(query.accountId)}`;
  for (const segment of await listSegments(dir, writer)) {
    // A segment may hold later days than its name says (a clock stepped back), never earlier ones.
    if (query.until !== undefined && segment.day > dayOf(query.until)) return;
    for await (const lines of readLines(segment.path)) yield* matchesIn(lines, query, account);
  }
}

function* matchesIn(lines: readonly Line[], query: AuditQuery, account: string | undefined): Generator<AuditRecord> {
  for (const { text, whole } of lines) {
    // Most lines are somebody else's: looking for the account's text is far cheaper than parsing.
    if (!whole || (account !== undefined && !text.includes(account))) continue;
    const record = parseRecord(text);
    if (record !== undefined && matches(record, query)) yield record;
  }
}

function matches(record: AuditRecord, query: AuditQuery): boolean {
  if (query.accountId !== undefined && record.accountId !== query.accountId) return false;
  if (query.kinds !== undefined && !query.kinds.includes(record.kind)) return false;
  if (query.from !== undefined && Date.parse(record.at) < Date.parse(query.from)) return false;
  return query.until === undefined || Date.parse(record.at) < Date.parse(query.until);
}

async function* mergeByTime(streams: readonly AsyncGenerator<AuditRecord>[]): AsyncGenerator<AuditRecord> {
  const heads: { record: AuditRecord; stream: AsyncGenerator<AuditRecord> }[] = [];
  for (const stream of streams) {
    const first = await stream.next();
    if (first.done !== true) heads.push({ record: first.value, stream });
  }
  while (heads.length > 0) {
    let earliest = 0;
    for (let index = 1; index < heads.length; index += 1) {
      if ((heads[index]?.record.at ?? '') < (heads[earliest]?.record.at ?? '')) earliest = index;
    }
    const head = heads[earliest];
    if (head === undefined) return;
    yield head.record;
    const next = await head.stream.next();
    if (next.done === true) heads.splice(earliest, 1);
    else head.record = next.value;
  }
}
