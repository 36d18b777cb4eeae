/** Finds where a writer's chain ends, to go on from there. Only the last segment is read: `verify` reads the rest. */
import { GatewayError } from '../domain/errors.js';
import { checkLine, EMPTY_CHAIN, parseRecord, type ChainHead } from './chain.js';
import { listSegments, readLines, type Segment } from './segments.js';

export interface ChainTail {
  readonly head: ChainHead;
  /** Undefined when the writer has written nothing yet. */
  readonly segment?: Segment;
  /** Bytes of the segment up to its last whole record. */
  readonly length: number;
  /** Bytes of a cut write follow. */
  readonly torn: boolean;
}

/** @throws GatewayError AUDIT_BROKEN when a record other than a torn last one is damaged. */
export async function findTail(dir: string, writer: string): Promise<ChainTail> {
  const segments = await listSegments(dir, writer);
  // A segment begun and never written to says nothing: the chain's end is in one before it.
  for (let index = segments.length - 1; index >= 0; index -= 1) {
    const segment = segments[index];
    if (segment === undefined) break;
    const tail = await endOf(segment);
    if (tail.head.seq > 0 || index === 0) {
      const last = segments.at(-1);
      if (last === undefined || last === segment) return { ...tail, segment };
      return { head: tail.head, segment: last, length: 0, torn: false };
    }
  }
  return { head: EMPTY_CHAIN, length: 0, torn: false };
}

async function endOf(segment: Segment): Promise<Omit<ChainTail, 'segment'>> {
  let head: ChainHead | undefined;
  let length = 0;
  for await (const lines of readLines(segment.path)) {
    for (const line of lines) {
      if (!line.whole) return { head: head ?? EMPTY_CHAIN, length, torn: true };
      const verdict = checkLine(line.text, head ?? headBefore(line.text));
      if (!verdict.ok) {
        throw new GatewayError('AUDIT_BROKEN', {
          segment: segment.name,
          after: head?.seq ?? 0,
          reason: verdict.reason,
        });
      }
      head = verdict.head;
      length = line.end;
    }
  }
  return { head: head ?? EMPTY_CHAIN, length, torn: false };
}

/** A segment's first record is believed about the segment before it. */
function headBefore(line: string): ChainHead {
  const record = parseRecord(line);
  return record === undefined ? EMPTY_CHAIN : { seq: record.seq - 1, hash: record.previous };
}
