/**
 * How fast a good audit log verifies: `npm run bench -- audit-verify [records]`, 1,000,000 by default. The yardstick
 * beside it is one SHA-256 over the same bytes, which no verifier can do without.
 */
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Checkpointer } from '../src/kernel/audit/checkpoint.js';
import { AUDIT_DEFAULTS, openAuditLog } from '../src/kernel/audit/file-audit-log.js';
import { listSegments } from '../src/kernel/audit/segments.js';
import { verifyAudit } from '../src/kernel/audit/verify.js';
import { silentLog } from '../src/kernel/runtime/log.js';
import { silentMeter } from '../src/kernel/runtime/meter.js';
import { SystemClock } from '../src/kernel/runtime/system-clock.js';
import { anEntry } from '../test/support/audit-entry.js';

export const isBenchmark = true;

const records = Number(process.argv[2] ?? 1_000_000);
const dir = mkdtempSync(join(tmpdir(), 'opitios-bench-audit-'));
try {
  const clock = new SystemClock();
  const audit = join(dir, 'audit');
  const options = { ...AUDIT_DEFAULTS, dir: audit, writer: 'worker-0' };
  const log = await openAuditLog(options, { clock, log: silentLog, meter: silentMeter });
  const wrote = performance.now();
  for (let written = 0; written < records; written += 1_000) {
    const batch = Math.min(1_000, records - written);
    await Promise.all(Array.from({ length: batch }, () => log.append(anEntry())));
  }
  const writeS = (performance.now() - wrote) / 1000;
  await log.close();
  const checkpointer = new Checkpointer(
    { dir: audit, keyFile: join(dir, 'key.pem'), intervalMs: 1e9 },
    clock,
    silentLog,
  );
  await checkpointer.start();
  await checkpointer.close();

  const hash = createHash('sha256');
  let bytes = 0;
  const hashed = performance.now();
  for (const { path } of await listSegments(audit, 'worker-0')) {
    for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
    }
  }
  const hashS = (performance.now() - hashed) / 1000;

  const began = performance.now();
  const verdict = await verifyAudit(audit);
  const verifyS = (performance.now() - began) / 1000;
  if (verdict.faults.length > 0 || verdict.records !== records) throw new Error(JSON.stringify(verdict));
  console.log(
    `records ${records}, ${(bytes / 2 ** 20).toFixed(1)} MiB, written at ${Math.round(records / writeS)} records/s in batches of 1000`,
  );
  console.log(`verify ${Math.round(records / verifyS)} records/s (${verifyS.toFixed(2)} s), faults 0`);
  console.log(`yardstick: one SHA-256 over the bytes ${hashS.toFixed(2)} s; ratio ${(verifyS / hashS).toFixed(1)}`);
} finally {
  rmSync(dir, { recursive: true, force: true });
}
