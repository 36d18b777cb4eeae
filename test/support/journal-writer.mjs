/**
 * Appends intents and outcomes to a slot's journal, and audit records beside them (from dist), and names on its output
 * each intent that both have acknowledged as durable, and when (CLOCK_MONOTONIC). Runs until it is killed.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';
import { AUDIT_DEFAULTS, openAuditLog } from '../../dist/kernel/audit/file-audit-log.js';
import { openJournal } from '../../dist/kernel/journal/open-journal.js';
import { silentLog } from '../../dist/kernel/runtime/log.js';
import { silentMeter } from '../../dist/kernel/runtime/meter.js';
import { SystemClock } from '../../dist/kernel/runtime/system-clock.js';

const [dataDir, epoch] = process.argv.slice(2);
const WRITERS = 8;
const clock = new SystemClock();
const slot = { dataDir, slot: 1, freeBytesMin: 0, ringSize: 100, keepKeysDays: 9 };
const journal = await (await openJournal(slot, clock)).adopt('account_001', Number(epoch));
const audit = await openAuditLog(
  { ...AUDIT_DEFAULTS, dir: join(dataDir, 'audit'), writer: 'worker-1', lowWaterBytes: 0 },
  { clock, log: silentLog, meter: silentMeter },
);
// lmdb tells a failed commit by a second promise that nobody has.
process.on('unhandledRejection', () => undefined);
let count = 0;
for (let writer = 0; writer < WRITERS; writer += 1) void write();

async function write() {
  for (;;) {
    count += 1;
    const clientOrderId = `g1-${epoch}-${count}`;
    const intent = {
      ...{ kind: 'submit', accountId: 'account_001', epoch: Number(epoch), clientOrderId, scope: clientOrderId },
      ...{
        fingerprint: 'f',
        path: '/v2/orders',
        body: '{}',
        subject: 'caller',
        requestId: 'r',
        recordedAt: Date.now(),
      },
      ...{ maxAgeMs: 10_000, ambiguous: 'reconcile_only', onLate: 'keep', attempts: 1, cancelRequested: false },
    };
    const facts = { client_order_id: clientOrderId };
    const writes = [
      journal.recordIntent(intent),
      audit.append({ kind: 'intent', accountId: 'account_001', subject: 'caller', facts }),
    ];
    try {
      await Promise.all(writes);
    } catch {
      // The disk is gone: nothing more is acknowledged.
      return;
    }
    writeSync(1, `${clientOrderId} ${process.hrtime.bigint()}\n`);
  }
}
