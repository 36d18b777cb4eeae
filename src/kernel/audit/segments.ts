/**
 * Where audit records lie: `<audit>/<writer>/<day>[.<n>].jsonl`. A segment holds one UTC day of one writer; a further
 * one of the same day is begun after the disk failed under the first. Their order is their names' order.
 */
import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';

const SEGMENT = /^(\d{4}-\d{2}-\d{2})(?:\.(\d{1,4}))?\.jsonl$/;
const CHUNK_BYTES = 1 << 20;

export interface Segment {
  readonly path: string;
  readonly name: string;
  readonly day: string;
  /** 0 for the day's first. */
  readonly part: number;
}

export function segmentName(day: string, part: number): string {
  return part === 0 ? `${day}.jsonl` : `${day}.${part}.jsonl`;
}

/** The UTC day of a moment in RFC 3339 UTC. */
export function dayOf(at: string): string {
  return at.slice(0, 10);
}

/** Writers that ever wrote under this directory, by name. */
export async function listWriters(dir: string): Promise<readonly string[]> {
  const entries = await readdir(dir, { withFileTypes: true }).catch(emptyWhenMissing);
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
}

/** A writer's segments, oldest first. */
export async function listSegments(dir: string, writer: string): Promise<readonly Segment[]> {
  const entries = await readdir(join(dir, writer), { withFileTypes: true }).catch(emptyWhenMissing);
  return entries
    .map((entry) => entry.name)
    .flatMap((name) => {
      const found = SEGMENT.exec(name);
      if (found?.[1] === undefined) return [];
      return [{ name, path: join(dir, writer, name), day: found[1], part: Number(found[2] ?? 0) }];
    })
    .sort((a, b) => (a.day === b.day ? a.part - b.part : a.day < b.day ? -1 : 1));
}

export interface Line {
  readonly text: string;
  /** Bytes up to and with this line's newline. */
  readonly end: number;
  /** False for a last line that lacks its newline: a write that was cut. */
  readonly whole: boolean;
}

/** The lines of a file in batches, one a chunk: a promise per line would cost more than the line's hash. */
export async function* readLines(path: string): AsyncGenerator<readonly Line[]> {
  let rest: Buffer = Buffer.alloc(0);
  let end = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES }) as AsyncIterable<Buffer>) {
    const bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const lines: Line[] = [];
    let start = 0;
    for (let at = bytes.indexOf(10); at >= 0; at = bytes.indexOf(10, start)) {
      end += at + 1 - start;
      // latin1 would be quicker, but the hash is over UTF-8 text; invalid bytes become U+FFFD and so fail their hash.
      lines.push({ text: bytes.toString('utf8', start, at), end, whole: true });
      start = at + 1;
    }
    rest = bytes.subarray(start);
    yield lines;
  }
  if (rest.length > 0) yield [{ text: rest.toString('utf8'), end: end + rest.length, whole: false }];
}

function emptyWhenMissing(cause: unknown): [] {
  if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
  throw cause;
}
