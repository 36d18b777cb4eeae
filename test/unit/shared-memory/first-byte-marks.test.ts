import { afterEach, beforeEach, expect, test } from '@jest/globals';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FirstByteMarks, sweepOrphanedMarks } from '../../../src/kernel/shared-memory/first-byte-marks.js';

let base: string;
let dataDir: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'opitios-marks-'));
  dataDir = join(base, 'data');
  mkdirSync(dataDir);
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const open = (slot = 0): FirstByteMarks => FirstByteMarks.open({ base, dataDir, slot });
const directory = (): string => join(base, readdirSync(base).find((name) => name.startsWith('opitios-sent-')) ?? '');
const pathOf = ({ file }: { readonly file: string }): string => join(directory(), file);

test('a successor knows of each order whether a byte of it may have left', () => {
  const first = open();
  const [left, stayed] = [first.next(), first.next()];
  expect(first.set(left)).toBe(true);
  first.close();

  const next = open();
  expect(next.provesUnsent(stayed)).toBe(true);
  expect(next.provesUnsent(left)).toBe(false);
  expect(open(1).provesUnsent(stayed)).toBe(true);
});

test.each([
  ['is gone', (path: string) => rmSync(path)],
  ['is another of the same name', (path: string) => writeFileSync(path, Buffer.alloc(200_000))],
  ['was cut off', (path: string) => writeFileSync(path, readFileSync(path).subarray(0, 70))],
])('a file that %s proves nothing', (_, spoil) => {
  const first = open();
  const stayed = first.next();
  const next = open();
  expect(next.provesUnsent(stayed)).toBe(true);
  spoil(pathOf(stayed));

  expect(next.provesUnsent(stayed)).toBe(false);
});

test('a mark of another boot proves nothing, nor does a name that leads out of the directory', () => {
  const marks = open();
  const stayed = marks.next();

  expect(marks.provesUnsent({ ...stayed, boot: '00000000-0000-0000-0000-000000000000' })).toBe(false);
  expect(marks.provesUnsent({ ...stayed, file: `../${stayed.file}` })).toBe(false);
});

test('a cell that another order has had since proves nothing, and a full round of orders takes no proof wrongly', () => {
  const marks = open();
  const stayed = marks.next();
  let last = stayed;
  for (let n = 0; n < 16_384; n += 1) last = marks.next();
  expect(marks.provesUnsent(stayed)).toBe(true);
  marks.set(last);

  expect(marks.provesUnsent(stayed)).toBe(false);
  expect(marks.provesUnsent(last)).toBe(false);
  // The same cell a round later: what is marked there is older.
  for (let n = 0; n < 16_384; n += 1) last = marks.next();
  expect(marks.provesUnsent(last)).toBe(true);
});

test("a second attempt of another process's order touches no mark of ours", () => {
  const [first, second] = [open(0), open(1)];
  const [theirs, ours] = [first.next(), second.next()];
  second.set(ours);

  expect(second.set({ ...theirs, number: 16_385 })).toBe(true);
  expect(second.provesUnsent(ours)).toBe(false);
  expect(first.provesUnsent({ ...theirs, number: 16_385 })).toBe(true);
});

test('of a slot the newest files are kept, of other slots all', () => {
  const other = open(1).next();
  for (let n = 0; n < 9; n += 1) open().close();

  expect(readdirSync(directory()).filter((name) => name.startsWith('0-'))).toHaveLength(5);
  expect(open(1).provesUnsent(other)).toBe(true);
});

test('a directory that others may write to, or that is a link, is refused', () => {
  open().close();
  chmodSync(directory(), 0o777);
  expect(() => open()).toThrow('SHARED_MEMORY_BROKEN');
  const name = directory();
  rmSync(name, { recursive: true });
  symlinkSync(dataDir, name);
  expect(() => open()).toThrow('SHARED_MEMORY_BROKEN');
});

test('marks of a gateway whose data directory is gone are swept, those of another stay', () => {
  open().close();
  const gone = directory();
  rmSync(dataDir, { recursive: true });
  const other = join(base, 'other');
  mkdirSync(other);
  FirstByteMarks.open({ base, dataDir: other, slot: 0 }).close();

  expect(sweepOrphanedMarks(base)).toEqual([gone]);
  expect(sweepOrphanedMarks(base)).toEqual([]);
  expect(readdirSync(directory())).toHaveLength(2);
});

test('where there is no shared memory there are no marks', () => {
  expect(() => FirstByteMarks.open({ base: join(base, 'no-such-place'), dataDir, slot: 0 })).toThrow(
    'SHARED_MEMORY_BROKEN',
  );
});
