/**
 * Verifies a whole audit directory offline: every chain from its first record, then every signed checkpoint against
 * the chains. Names the first bad record of each chain: what follows a broken link proves nothing any more.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CHECKPOINTS_FILE, isSigned, parseCheckpoint, PUBLIC_KEY_FILE, type SignedCheckpoint } from './checkpoint.js';
import { checkLine, EMPTY_CHAIN, type ChainHead } from './chain.js';
import { listSegments, listWriters, readLines, type Line } from './segments.js';

export interface AuditFault {
  /** Relative to the audit directory. */
  readonly file: string;
  /** 1-based; 0 when the fault is the file's as a whole. */
  readonly line: number;
  readonly reason: string;
}

export interface AuditVerdict {
  readonly records: number;
  readonly checkpoints: number;
  /** Records written after the last checkpoint: chained, not yet signed. */
  readonly unsigned: number;
  /** Chains whose last write was cut by a crash. Nobody was told that it had happened, so it is no fault. */
  readonly torn: readonly string[];
  /** Empty when everything holds. */
  readonly faults: readonly AuditFault[];
}

/** Heads that checkpoints speak of, by writer and seq, and what the chain really had there. */
type Claims = Map<string, Map<number, string | undefined>>;

export async function verifyAudit(dir: string): Promise<AuditVerdict> {
  const faults: AuditFault[] = [];
  const torn: string[] = [];
  const signed = await verifySignatures(dir, faults);
  const claims = claimsOf(signed);
  const heads = new Map<string, ChainHead>();
  let records = 0;
  for (const writer of await listWriters(dir)) {
    const head = await verifyChain({ dir, writer, claims, faults, torn });
    heads.set(writer, head);
    records += head.seq;
  }
  checkClaims(signed, claims, faults);
  const lastSigned = signed.at(-1)?.checkpoint.heads ?? {};
  let unsigned = 0;
  for (const [writer, head] of heads) unsigned += Math.max(0, head.seq - (lastSigned[writer]?.seq ?? 0));
  if (records > 0 && signed.length === 0)
    faults.push({ file: CHECKPOINTS_FILE, line: 0, reason: 'there are records and no checkpoint' });
  return { records, checkpoints: signed.length, unsigned, torn, faults };
}

interface ChainCheck {
  readonly dir: string;
  readonly writer: string;
  readonly claims: Claims;
  readonly faults: AuditFault[];
  readonly torn: string[];
}

async function verifyChain(check: ChainCheck): Promise<ChainHead> {
  const { dir, writer, claims } = check;
  const claimed = claims.get(writer);
  const segments = await listSegments(dir, writer);
  let head = EMPTY_CHAIN;
  for (const segment of segments) {
    const place = { file: `${writer}/${segment.name}`, isLast: segment === segments.at(-1) };
    let lineNumber = 0;
    for await (const lines of readLines(segment.path)) {
      const walked = walk(lines, head, claimed);
      head = walked.head;
      lineNumber += walked.count;
      if (walked.stopped === undefined) continue;
      if (walked.stopped.cut && place.isLast) check.torn.push(place.file);
      else check.faults.push({ file: place.file, line: lineNumber, reason: walked.stopped.reason });
      return head;
    }
  }
  return head;
}

interface Walked {
  readonly head: ChainHead;
  readonly count: number;
  readonly stopped?: { readonly reason: string; readonly cut: boolean };
}

function walk(lines: readonly Line[], from: ChainHead, claimed: Map<number, string | undefined> | undefined): Walked {
  let head = from;
  let count = 0;
  for (const { text, whole } of lines) {
    count += 1;
    const verdict = checkLine(text, head);
    if (!verdict.ok) return { head, count, stopped: { reason: verdict.reason, cut: !whole } };
    // A whole record without its newline was not cut by a crash in any likely way; somebody took the byte.
    if (!whole) return { head, count, stopped: { reason: 'the record lacks its newline', cut: false } };
    head = verdict.head;
    if (claimed?.has(head.seq) === true) claimed.set(head.seq, head.hash);
  }
  return { head, count };
}

async function verifySignatures(dir: string, faults: AuditFault[]): Promise<readonly SignedCheckpoint[]> {
  const text = await readFile(join(dir, CHECKPOINTS_FILE), 'utf8').catch(() => '');
  if (text === '') return [];
  const key = await publicKeyOf(dir, faults);
  const signed: SignedCheckpoint[] = [];
  const lines = text.split('\n');
  if (lines.pop() !== '') faults.push({ file: CHECKPOINTS_FILE, line: lines.length + 1, reason: 'the end is cut' });
  for (const [index, line] of lines.entries()) {
    const parsed = parseCheckpoint(line);
    const wrong = (reason: string): void => void faults.push({ file: CHECKPOINTS_FILE, line: index + 1, reason });
    if (parsed === undefined) wrong('not a checkpoint');
    else if (key !== undefined && !isSigned(parsed, key)) wrong('the signature does not hold');
    else if (parsed.checkpoint.n !== signed.length + 1) wrong('a checkpoint is missing before this one');
    else signed.push(parsed);
  }
  return signed;
}

async function publicKeyOf(dir: string, faults: AuditFault[]): Promise<KeyObject | undefined> {
  try {
    return createPublicKey(await readFile(join(dir, PUBLIC_KEY_FILE)));
  } catch {
    faults.push({ file: PUBLIC_KEY_FILE, line: 0, reason: 'no readable public key for the checkpoints' });
    return undefined;
  }
}

function claimsOf(signed: readonly SignedCheckpoint[]): Claims {
  const claims: Claims = new Map();
  for (const { checkpoint } of signed) {
    for (const [writer, head] of Object.entries(checkpoint.heads)) {
      const claimed = claims.get(writer) ?? new Map<number, string | undefined>();
      claimed.set(head.seq, undefined);
      claims.set(writer, claimed);
    }
  }
  return claims;
}

function checkClaims(signed: readonly SignedCheckpoint[], claims: Claims, faults: AuditFault[]): void {
  for (const [index, { checkpoint }] of signed.entries()) {
    for (const [writer, head] of Object.entries(checkpoint.heads)) {
      const found = claims.get(writer)?.get(head.seq);
      if (found === head.hash) continue;
      const reason =
        found === undefined
          ? `signed record ${head.seq} of ${writer} is missing or unreachable`
          : `record ${head.seq} of ${writer} is not the one that was signed`;
      faults.push({ file: CHECKPOINTS_FILE, line: index + 1, reason });
    }
  }
}
