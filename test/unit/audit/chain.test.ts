import { expect, test } from '@jest/globals';
import { chainLine, checkLine, EMPTY_CHAIN } from '../../../src/kernel/audit/chain.js';
import { aMoment, anEntry } from '../../support/audit-entry.js';

const first = chainLine(anEntry(), aMoment, EMPTY_CHAIN);
const second = chainLine(anEntry({ kind: 'outcome' }), aMoment, first.head);

test('a record follows the one before it', () => {
  expect(checkLine(first.line.trimEnd(), EMPTY_CHAIN)).toMatchObject({ ok: true, head: { seq: 1 } });
  expect(checkLine(second.line.trimEnd(), first.head)).toMatchObject({ ok: true, head: { seq: 2 } });
});

test('a record out of its place is refused with its number', () => {
  expect(checkLine(second.line.trimEnd(), EMPTY_CHAIN)).toEqual({
    ok: false,
    reason: 'record 2 stands where 1 belongs',
  });
});

test('a record re-hashed after another past is refused', () => {
  const forged = chainLine(anEntry({ subject: 'mallory' }), aMoment, EMPTY_CHAIN);

  expect(checkLine(second.line.trimEnd(), forged.head)).toMatchObject({ ok: false });
});

test('a change of any single byte of a record is found', () => {
  const bytes = Buffer.from(second.line.trimEnd());
  for (let at = 0; at < bytes.length; at += 1) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(checkLine(changed.toString('utf8'), first.head).ok).toBe(false);
  }
});
