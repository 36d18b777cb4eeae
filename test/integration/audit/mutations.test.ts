/** I11 of docs/order-protocol.md: any edit, removal or reordering of audit records is found by the offline verifier. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Checkpointer } from '../../../src/kernel/audit/checkpoint.js';
import { AUDIT_DEFAULTS, openAuditLog } from '../../../src/kernel/audit/file-audit-log.js';
import { verifyAudit } from '../../../src/kernel/audit/verify.js';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import { silentMeter } from '../../../src/kernel/runtime/meter.js';
import { anEntry } from '../../support/audit-entry.js';
import { ManualClock } from '../../support/manual-clock.js';
import { aRandom, type Random } from '../../support/random.js';

const MUTATIONS = 1_000;
let dir: string;
let files: string[];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'opitios-mutations-'));
  const clock = new ManualClock();
  const audit = join(dir, 'audit');
  const checkpointer = new Checkpointer(
    { dir: audit, keyFile: join(dir, 'key.pem'), intervalMs: 1e9 },
    clock,
    silentLog,
  );
  await checkpointer.start();
  const ports = { clock, log: silentLog, meter: silentMeter };
  for (const writer of ['worker-0', 'worker-1']) {
    const log = await openAuditLog({ ...AUDIT_DEFAULTS, dir: audit, writer, lowWaterBytes: 1 }, ports);
    for (let day = 0; day < 3; day += 1) {
      await Promise.all(Array.from({ length: 10 }, (_, n) => log.append(anEntry({ requestId: `${day}-${n}` }))));
      await checkpointer.sign();
      await clock.advance(24 * 3600_000);
    }
    await log.close();
  }
  await checkpointer.close();
  files = readdirSync(audit, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.jsonl'));
});

afterAll(() => rmSync(dir, { recursive: true, force: true }));

test('the untouched log verifies', async () => {
  expect(await verifyAudit(join(dir, 'audit'))).toMatchObject({ records: 60, unsigned: 0, torn: [], faults: [] });
});

test(`${MUTATIONS} random mutations are all found`, async () => {
  const random = aRandom(7);
  const missed: string[] = [];
  for (let n = 0; n < MUTATIONS; n += 1) {
    const copy = join(dir, 'copy');
    cpSync(join(dir, 'audit'), copy, { recursive: true });
    const what = mutate(copy, random);
    // Taking the newest checkpoint away edits no record; the verifier says that records are without a signature.
    const { faults, unsigned } = await verifyAudit(copy);
    if (faults.length === 0 && unsigned === 0) missed.push(`${n}: ${what}`);
    rmSync(copy, { recursive: true });
  }

  expect(missed).toEqual([]);
}, 120_000);

function mutate(audit: string, random: Random): string {
  for (;;) {
    const name = random.pick(files);
    const path = join(audit, name);
    const before = readFileSync(path);
    const [what, after] = random.pick(KINDS)(before, random, audit);
    if (after === undefined) {
      rmSync(path);
      return `${what} ${name}`;
    }
    if (after.equals(before)) continue;
    writeFileSync(path, after);
    return `${what} ${name}`;
  }
}

type Mutation = (bytes: Buffer, random: Random, audit: string) => [string, Buffer | undefined];

const linesOf = (bytes: Buffer): string[] => bytes.toString().split('\n').slice(0, -1);
const joined = (lines: string[]): Buffer => Buffer.from(lines.map((line) => `${line}\n`).join(''));

const KINDS: Mutation[] = [
  (bytes, random) => {
    const changed = Buffer.from(bytes);
    const at = random.below(bytes.length);
    changed[at] = (changed[at] ?? 0) ^ (1 << random.below(8));
    return [`flip a bit at ${at}`, changed];
  },
  (bytes, random) => {
    const length = random.below(bytes.length);
    return [`truncate to ${length}`, bytes.subarray(0, length)];
  },
  (bytes, random) => {
    const lines = linesOf(bytes);
    lines.splice(random.below(lines.length), 1);
    return ['delete a line', joined(lines)];
  },
  (bytes, random) => {
    const lines = linesOf(bytes);
    const [a, b] = [random.below(lines.length), random.below(lines.length)];
    [lines[a], lines[b]] = [lines[b] ?? '', lines[a] ?? ''];
    return ['swap two lines', joined(lines)];
  },
  (bytes, random) => {
    const lines = linesOf(bytes);
    lines.splice(random.below(lines.length + 1), 0, random.pick(lines));
    return ['repeat a line', joined(lines)];
  },
  (bytes, random) => {
    const at = random.below(bytes.length);
    return [
      'insert bytes',
      Buffer.concat([bytes.subarray(0, at), Buffer.from('x"1\n'.slice(random.below(4))), bytes.subarray(at)]),
    ];
  },
  (_, random, audit) => ['replace by another file', readFileSync(join(audit, random.pick(files)))],
  () => ['delete', undefined],
];
