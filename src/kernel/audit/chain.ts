/**
 * One audit record as one line of text, and the chain that holds the lines together. The hash is taken over the line's
 * own bytes up to the hash, so that verification never depends on how somebody's JSON library spells a value.
 */
import { createHash } from 'node:crypto';
import type { AuditEntry, AuditRecord } from './audit-log.js';

/** The `previous` of a chain's first record. */
export const CHAIN_START = '0'.repeat(64);

/** Where a chain stands: the next record carries `seq + 1` and `previous = hash`. */
export interface ChainHead {
  readonly seq: number;
  readonly hash: string;
}

export const EMPTY_CHAIN: ChainHead = { seq: 0, hash: CHAIN_START };

const HASH_MEMBER = ',"hash":"';
/** `,"hash":"` + 64 hexadecimal digits + `"}` */
const TAIL_LENGTH = HASH_MEMBER.length + 64 + 2;

export interface RecordMoment {
  readonly writer: string;
  /** RFC 3339 UTC with milliseconds. */
  readonly at: string;
  readonly monotonicMs: number;
}

/** The line of the next record, with its newline, and the head after it. */
export function chainLine(entry: AuditEntry, moment: RecordMoment, head: ChainHead): { line: string; head: ChainHead } {
  const seq = head.seq + 1;
  const open = JSON.stringify({ seq, ...moment, ...entry, previous: head.hash }).slice(0, -1);
  const hash = sha256(open);
  return { line: `${open}${HASH_MEMBER}${hash}"}\n`, head: { seq, hash } };
}

export type LineVerdict =
  | { readonly ok: true; readonly record: AuditRecord; readonly head: ChainHead }
  | { readonly ok: false; readonly reason: string };

/** Whether a line (without its newline) is whole and the successor of `head`. */
export function checkLine(line: string, head: ChainHead): LineVerdict {
  const open = line.slice(0, -TAIL_LENGTH);
  const tail = line.slice(-TAIL_LENGTH);
  if (line.length <= TAIL_LENGTH || !tail.startsWith(HASH_MEMBER) || !tail.endsWith('"}'))
    return { ok: false, reason: 'not a whole record' };
  const hash = tail.slice(HASH_MEMBER.length, -2);
  if (sha256(open) !== hash) return { ok: false, reason: 'the record does not match its hash' };
  const record = parseRecord(line);
  if (record === undefined) return { ok: false, reason: 'not a JSON record' };
  if (record.seq !== head.seq + 1)
    return { ok: false, reason: `record ${record.seq} stands where ${head.seq + 1} belongs` };
  if (record.previous !== head.hash) return { ok: false, reason: 'the record does not follow the one before it' };
  return { ok: true, record, head: { seq: record.seq, hash } };
}

/** The record of a line, undefined when it is none. Says nothing about the chain. */
export function parseRecord(line: string): AuditRecord | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is AuditRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { seq, at, previous, kind } = value as Partial<Record<keyof AuditRecord, unknown>>;
  return (
    Number.isSafeInteger(seq) && typeof at === 'string' && typeof previous === 'string' && typeof kind === 'string'
  );
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
