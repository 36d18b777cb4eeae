import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeAppendDisk, type AppendDisk } from '../../../src/kernel/audit/append-file.js';
import type { AuditLog, AuditRecord } from '../../../src/kernel/audit/audit-log.js';
import { Checkpointer } from '../../../src/kernel/audit/checkpoint.js';
import { exportAudit } from '../../../src/kernel/audit/export.js';
import { AUDIT_DEFAULTS, openAuditLog } from '../../../src/kernel/audit/file-audit-log.js';
import { verifyAudit } from '../../../src/kernel/audit/verify.js';
import { parseAccountId } from '../../../src/kernel/domain/identifiers.js';
import { silentLog } from '../../../src/kernel/runtime/log.js';
import { silentMeter } from '../../../src/kernel/runtime/meter.js';
import { anEntry } from '../../support/audit-entry.js';
import { ManualClock } from '../../support/manual-clock.js';

let dir: string;
let clock: ManualClock;
const open: { close(): Promise<void> }[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'opitios-audit-'));
  clock = new ManualClock();
});

afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
  rmSync(dir, { recursive: true, force: true });
});

async function aLog(writer = 'worker-0', disk?: AppendDisk): Promise<AuditLog> {
  const options = { ...AUDIT_DEFAULTS, dir: join(dir, 'audit'), writer, lowWaterBytes: 1 };
  const log = await openAuditLog(options, { clock, log: silentLog, meter: silentMeter, ...(disk && { disk }) });
  open.push(log);
  return log;
}

async function checkpoints(): Promise<Checkpointer> {
  const options = { dir: join(dir, 'audit'), keyFile: join(dir, 'audit-key.pem'), intervalMs: 60_000 };
  const checkpointer = new Checkpointer(options, clock, silentLog);
  await checkpointer.start();
  open.push(checkpointer);
  return checkpointer;
}

async function all(records: AsyncIterable<AuditRecord>): Promise<AuditRecord[]> {
  const found = [];
  for await (const record of records) found.push(record);
  return found;
}

const verdict = (): ReturnType<typeof verifyAudit> => verifyAudit(join(dir, 'audit'));

test('a disk that fails once stops the log until a self-test passes, and the chain goes on without a hole', async () => {
  let failing = false;
  const disk: AppendDisk = {
    freeBytes: () => Promise.resolve(1e9),
    open: async (path) => {
      const file = await nodeAppendDisk.open(path);
      return {
        append: async (bytes) => {
          // A short write, then the error: what a full disk does.
          if (failing) appendFileSync(path, bytes.subarray(0, bytes.length / 2));
          if (failing) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
          await file.append(bytes);
        },
        truncate: (length) => file.truncate(length),
        length: () => file.length(),
        close: () => file.close(),
      };
    },
  };
  const log = await aLog('worker-0', disk);
  await log.append(anEntry());

  failing = true;
  await expect(log.append(anEntry())).rejects.toMatchObject({ code: 'AUDIT_BROKEN' });
  expect(log.healthy()).toBe(false);
  await clock.advance(2_000);
  await expect(log.append(anEntry())).rejects.toMatchObject({ code: 'AUDIT_BROKEN' });

  failing = false;
  await clock.advance(1_000);
  await expectEventually(() => log.healthy());
  await log.append(anEntry({ kind: 'outcome' }));
  await log.close();
  await (await checkpoints()).sign();
  expect(await verdict()).toMatchObject({ records: 2, faults: [] });
});

test('free space under the low-water mark makes the log unhealthy while it still takes what is under way', async () => {
  let free = 1e9;
  const log = await aLog('worker-0', { ...nodeAppendDisk, freeBytes: () => Promise.resolve(free) });

  free = 0;
  await clock.advance(1_000);

  expect(log.healthy()).toBe(false);
  await log.append(anEntry({ kind: 'outcome' }));
  free = 1e9;
  await clock.advance(1_000);
  expect(log.healthy()).toBe(true);
});

test('a torn tail is cut on opening and the chain goes on', async () => {
  const log = await aLog();
  await log.append(anEntry());
  await log.append(anEntry());
  await log.close();
  const segment = join(dir, 'audit/worker-0/2026-01-05.jsonl');
  appendFileSync(segment, readFileSync(segment).subarray(0, 100));

  const again = await aLog();
  await again.append(anEntry());
  await again.close();
  await (await checkpoints()).sign();

  expect(await verdict()).toMatchObject({ records: 3, torn: [], faults: [] });
});

test('damage before the tail refuses to open', async () => {
  const log = await aLog();
  await log.append(anEntry());
  await log.append(anEntry());
  await log.close();
  const segment = join(dir, 'audit/worker-0/2026-01-05.jsonl');
  const bytes = readFileSync(segment);
  bytes[40] = (bytes[40] ?? 0) ^ 1;
  rmSync(segment);
  appendFileSync(segment, bytes);

  await expect(aLog()).rejects.toMatchObject({ code: 'AUDIT_BROKEN' });
});

test('records that wait together share one write, in the order asked', async () => {
  let writes = 0;
  const log = await aLog('worker-0', {
    ...nodeAppendDisk,
    open: async (path) => {
      const file = await nodeAppendDisk.open(path);
      return { ...file, append: (bytes) => ((writes += 1), file.append(bytes)) };
    },
  });

  await Promise.all(Array.from({ length: 500 }, (_, n) => log.append(anEntry({ requestId: `r${n}` }))));

  expect(writes).toBeLessThanOrEqual(3);
  const read = await all(log.read({}));
  expect(read.map((record) => record.requestId)).toEqual(Array.from({ length: 500 }, (_, n) => `r${n}`));
});

test('reading merges the writers by time and keeps to the account, the kinds, the window and the limit', async () => {
  const [a, b] = [await aLog('worker-0'), await aLog('worker-1')];
  const other = parseAccountId('account_002');
  for (let n = 0; n < 6; n += 1) {
    await (n % 2 === 0 ? a : b).append(anEntry({ requestId: `r${n}`, kind: n === 3 ? 'fill' : 'intent' }));
    await a.append(anEntry({ accountId: other }));
    await clock.advance(1_000);
  }

  const mine = { accountId: parseAccountId('account_001') };
  const ids = async (query: object) => (await all(a.read({ ...mine, ...query }))).map((record) => record.requestId);
  expect(await ids({})).toEqual(['r0', 'r1', 'r2', 'r3', 'r4', 'r5']);
  expect(await ids({ kinds: ['fill'] })).toEqual(['r3']);
  expect(await ids({ from: '2026-01-05T15:00:02Z', until: '2026-01-05T15:00:04Z' })).toEqual(['r2', 'r3']);
  expect(await ids({ limit: 2 })).toEqual(['r0', 'r1']);
});

test('a new day begins a new segment and the chain runs through', async () => {
  const log = await aLog();
  await log.append(anEntry());
  await clock.advance(24 * 3600_000);
  await log.append(anEntry());
  await (await checkpoints()).sign();

  expect(await verdict()).toMatchObject({ records: 2, faults: [] });
  expect(readFileSync(join(dir, 'audit/worker-0/2026-01-06.jsonl'), 'utf8')).toContain('"seq":2');
});

test('cutting whole records off the end is found by the signed checkpoint', async () => {
  const log = await aLog();
  for (let n = 0; n < 3; n += 1) await log.append(anEntry());
  await (await checkpoints()).sign();
  const segment = join(dir, 'audit/worker-0/2026-01-05.jsonl');
  const text = readFileSync(segment, 'utf8');

  truncateSync(segment, text.lastIndexOf('\n', text.length - 2) + 1);

  expect((await verdict()).faults).toEqual([
    { file: 'checkpoints.jsonl', line: 1, reason: 'signed record 3 of worker-0 is missing or unreachable' },
  ]);
});

test('a chain rewritten from its first record is found by the signed checkpoint', async () => {
  const log = await aLog();
  await log.append(anEntry());
  await (await checkpoints()).sign();
  await log.close();
  rmSync(join(dir, 'audit/worker-0'), { recursive: true });

  const forged = await aLog();
  await forged.append(anEntry({ subject: 'mallory' }));

  expect((await verdict()).faults).toEqual([
    { file: 'checkpoints.jsonl', line: 1, reason: 'record 1 of worker-0 is not the one that was signed' },
  ]);
});

test('an export keeps a formula in a cell from running', async () => {
  const log = await aLog();
  await log.append(anEntry({ subject: '=HYPERLINK("x")' }));

  let csv = '';
  for await (const line of exportAudit(join(dir, 'audit'), {}, 'csv')) csv += line;

  expect(csv.split('\r\n')[1]).toContain(`"'=HYPERLINK(""x"")"`);
});

async function expectEventually(holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2_000 && !holds(); turn += 1) await new Promise((resolve) => setTimeout(resolve, 5));
  expect(holds()).toBe(true);
}
