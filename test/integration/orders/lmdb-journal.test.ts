/** The journal on a real disk: durable before it resolves, owned by one, brought along, honest about damage. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { AccountId } from '../../../src/kernel/domain/identifiers.js';
import { LmdbStore } from '../../../src/kernel/journal/lmdb-store.js';
import { openJournal } from '../../../src/kernel/journal/open-journal.js';
import type { IntentRecord } from '../../../src/kernel/journal/records.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';

const ACCOUNT = 'account_001' as AccountId;
const clock = new SystemClock();
let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'opitios-journal-'));
});
afterEach(() => {
  rmSync(dataDir, { recursive: true, force: true });
});

const open = (slot: number) => openJournal({ dataDir, slot, freeBytesMin: 0, ringSize: 10, keepKeysDays: 9 }, clock);

function anIntent(more: Partial<IntentRecord> = {}): IntentRecord {
  return {
    kind: 'submit',
    accountId: ACCOUNT,
    epoch: 1,
    clientOrderId: 'g1a',
    scope: 's1',
    fingerprint: 'f',
    path: '/v2/orders',
    body: '{}',
    subject: 'caller',
    requestId: 'r',
    recordedAt: clock.now(),
    maxAgeMs: 1,
    ambiguous: 'reconcile_only',
    onLate: 'keep',
    attempts: 1,
    cancelRequested: false,
    ...more,
  };
}

test('a second opener of a slot is turned away until the first lets go', async () => {
  const first = await open(1);

  await expect(open(1)).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' });
  await first.close();
  await (await open(1)).close();
});

test('an account that moves to another slot brings intents, keys and events along', async () => {
  const old = await open(1);
  const before = await old.adopt(ACCOUNT, 1);
  await before.recordIntent(anIntent());
  await before.appendEvent({ event: 'new', timestamp: 't', data: '{}', reconciled: false }, []).durable;
  const young = await open(2);

  const after = await young.adopt(ACCOUNT, 2);

  expect(after.openIntents().map(({ clientOrderId }) => clientOrderId)).toEqual(['g1a']);
  expect(after.clientOrderIdOf('s1')).toBe('g1a');
  expect(after.eventsAfter({ epoch: 1, seq: 0 }).events).toHaveLength(1);
  expect(after.position()).toEqual({ epoch: 2, seq: 0 });
  await young.close();
  await old.close();
});

test('an owner with an older epoch than the newest written is refused', async () => {
  const old = await open(1);
  const young = await open(2);
  await young.adopt(ACCOUNT, 7);

  await expect(old.adopt(ACCOUNT, 6)).rejects.toMatchObject({ code: 'JOURNAL_LOCKED' });
  await young.close();
  await old.close();
});

test('what was recorded is there after the journal is opened again, and is forgotten when its time is over', async () => {
  const first = await open(1);
  const before = await first.adopt(ACCOUNT, 1);
  const long = clock.now() - 20 * 86_400_000;
  await before.recordIntent(anIntent({ recordedAt: long }));
  const answer = { kind: 'problem', problem: { code: 'venue-rejected', detail: '' } } as const;
  await before.recordOutcome('g1a', { state: 'REJECTED', at: long, answer });
  await before.recordIntent(anIntent({ clientOrderId: 'g1open', scope: 's2', recordedAt: long }));
  await first.close();

  const again = await open(1);
  const after = await again.adopt(ACCOUNT, 2);
  expect(after.outcome('g1a')?.state).toBe('REJECTED');
  await after.prune(clock.now());

  expect(after.intent('g1a')).toBeUndefined();
  expect(after.clientOrderIdOf('s1')).toBeUndefined();
  expect(after.intent('g1open')).toBeDefined();
  await again.close();
});

test('every single flipped bit of a record is found', async () => {
  const dir = join(dataDir, 'journal', '1');
  const journal = await open(1);
  await (await journal.adopt(ACCOUNT, 1)).recordIntent(anIntent());
  await journal.close();
  const store = new LmdbStore({ dir, readOnly: false, freeBytesMin: 0 }, clock);
  const whole = Uint8Array.from(store.get(`${ACCOUNT}/i/g1a`)!);
  const { decodeRecord } = await import('../../../src/kernel/journal/record-codec.js');

  for (let bit = 0; bit < whole.length * 8; bit += 1) {
    const bytes = Uint8Array.from(whole);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    expect(() => decodeRecord(`${ACCOUNT}/i/g1a`, bytes)).toThrow(expect.objectContaining({ code: 'JOURNAL_BROKEN' }));
  }
  expect(() => decodeRecord(`${ACCOUNT}/i/other`, whole)).toThrow(expect.objectContaining({ code: 'JOURNAL_BROKEN' }));
  await store.close();
});

test('the bounds of a prefix are its own first and last key, and nothing of its neighbours', async () => {
  const store = new LmdbStore({ dir: join(dataDir, 'bounds'), readOnly: false, freeBytesMin: 0 }, clock);
  const value = Uint8Array.of(1);
  await store.commit(['a/e/2', 'a/e', 'a/f/1', 'a/e/1', 'a/e0', 'a/e/3', 'a/d/9'].map((key) => ({ key, value })));

  expect(store.bounds('a/e/')).toEqual({ first: 'a/e/1', last: 'a/e/3' });
  expect(store.bounds('a/d/')).toEqual({ first: 'a/d/9', last: 'a/d/9' });
  expect(store.bounds('a/g/')).toBeUndefined();
  await store.close();
});

const canTrace = spawnSync('strace', ['-V']).status === 0;

/** The built program: a trace of jest itself would drown in its own writes. */
(canTrace ? test : test.skip)('the intent is written and synced before anything after it is written', () => {
  const trace = join(dataDir, 'trace');
  const program = `
    const { LmdbStore } = await import('${new URL('../../../dist/kernel/journal/lmdb-store.js', import.meta.url).href}');
    const store = new LmdbStore({ dir: '${dataDir}/j', readOnly: false, freeBytesMin: 0 }, { monotonicMs: () => 0 });
    await store.commit([{ key: 'a/i/1', value: Buffer.from('INTENT-MARK') }]);
    (await import('node:fs')).writeSync(1, 'POST-MARK');
    await store.close();`;
  const args = ['-f', '-s', '4096', '-e', 'trace=pwrite64,writev,pwritev,fdatasync,write,openat', '-o', trace];

  spawnSync('strace', [...args, process.execPath, '--input-type=module', '-e', program]);

  const lines = readFileSync(trace, 'utf8').split('\n');
  const intent = lines.findIndex((line) => line.includes('INTENT-MARK') && line.includes('write'));
  const post = lines.findIndex((line) => line.includes('"POST-MARK"'));
  const sync = lines.findIndex((line, at) => at > intent && line.includes('fdatasync('));
  expect(intent).toBeGreaterThan(-1);
  expect(sync).toBeGreaterThan(intent);
  expect(post).toBeGreaterThan(sync);
});

(canTrace ? test : test.skip)('a failed sync ends the journal: nothing more is trusted to it', () => {
  const program = `
    const { LmdbStore } = await import('${new URL('../../../dist/kernel/journal/lmdb-store.js', import.meta.url).href}');
    const store = new LmdbStore({ dir: '${dataDir}/j', readOnly: false, freeBytesMin: 0 }, { monotonicMs: () => 0 });
    const told = [];
    for (let number = 0; number < 4; number += 1) {
      await store.commit([{ key: 'a/' + number, value: Buffer.from('x') }]).then(() => told.push('ok'), (error) => told.push(error.code));
    }
    (await import('node:fs')).writeSync(1, told.join() + ' ' + store.trouble());
    process.exit(0);`;

  const args = ['-f', '-o', '/dev/null', '-e', 'trace=fdatasync', '-e', 'inject=fdatasync:error=EIO:when=1+'];
  const done = spawnSync('strace', [...args, process.execPath, '--input-type=module', '-e', program], {
    encoding: 'utf8',
  });

  expect(done.stdout).toMatch(/JOURNAL_BROKEN,JOURNAL_BROKEN a write to the journal failed$/);
});
