import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MASTER_ACCOUNT_ID, parseAccountId } from '../../../src/kernel/domain/identifiers.js';
import { AssignmentTable } from '../../../src/primary/assignment.js';

let dir: string;
let file: string;
const a = parseAccountId('a');
const b = parseAccountId('b');

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'opitios-assignment-'));
  file = join(dir, 'primary', 'ownership.json');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

test('every move raises the epoch of what moves and of nothing else', () => {
  const table = AssignmentTable.open(file);
  table.move(new Map([[a, 0], [b, 1], [MASTER_ACCOUNT_ID, 0]])); // prettier-ignore
  const moved = table.move(new Map([[a, 0]]));

  expect(moved).toEqual([{ accountId: a, slot: 0, epoch: 2 }]);
  expect(table.ownedBy(1)).toEqual([{ accountId: b, slot: 1, epoch: 1 }]);
  expect(table.table().version).toBe(2);
});

test('an epoch does not fall over a restart, nor when an account is removed and comes back', () => {
  AssignmentTable.open(file).move(new Map([[a, 0], [b, 1]])); // prettier-ignore
  const restarted = AssignmentTable.open(file);
  expect(restarted.ownership().get(b)).toBe(1);
  restarted.remove([a]);

  const again = AssignmentTable.open(file);
  expect(again.ownership().has(a)).toBe(false);
  expect(again.move(new Map([[a, 3]]))).toEqual([{ accountId: a, slot: 3, epoch: 2 }]);
  expect(again.table().version).toBe(3);
});

test('a table that is damaged is not read as an empty one', () => {
  AssignmentTable.open(file).move(new Map([[a, 0]]));
  for (const text of [
    '',
    '{"version":1',
    '{"version":1,"accounts":[["a",-1,0]]}',
    '{"version":1,"accounts":[["",1,0]]}',
  ]) {
    writeFileSync(file, text);
    expect(() => AssignmentTable.open(file)).toThrow(expect.objectContaining({ code: 'JOURNAL_BROKEN' }));
  }
});

test('a move that cannot be written did not happen', () => {
  const table = AssignmentTable.open(file);
  table.move(new Map([[a, 0]]));
  rmSync(join(dir, 'primary'), { recursive: true });

  expect(() => table.move(new Map([[a, 1]]))).toThrow(expect.objectContaining({ code: 'JOURNAL_BROKEN' }));
  expect(table.ownedBy(0)).toEqual([{ accountId: a, slot: 0, epoch: 1 }]);
});

test('only its owner may read the table', () => {
  AssignmentTable.open(file).move(new Map([[a, 0]]));
  expect(statSync(file).mode & 0o777).toBe(0o600);
  chmodSync(file, 0o600);
});
