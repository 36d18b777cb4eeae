/**
 * The power goes while intents are being written: an ext4 on a loop device is shut down without a flush, mounted again
 * and recovered. Every intent that was acknowledged is in the journal and in the audit trail.
 */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { AccountId } from '../../../src/kernel/domain/identifiers.js';
import { readAudit } from '../../../src/kernel/audit/read.js';
import { openJournal } from '../../../src/kernel/journal/open-journal.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import { eventually } from '../../support/gateway-process.js';
import { LoopDisk } from '../../support/loop-disk.js';
import { tell } from '../../support/order-load.js';
import { aRandom } from '../../support/random.js';

const CUTS = Number(process.env['OPITIOS_CUTS'] ?? (process.env['OPITIOS_LONG'] === '1' ? 100 : 3));
const SEED = Number(process.env['OPITIOS_SEED'] ?? Date.now() % 1_000_000);
const PROGRAM = new URL('../../support/journal-writer.mjs', import.meta.url).pathname;

const whyNot = LoopDisk.whyNot();
if (whyNot !== undefined) tell(`power cuts are skipped: ${whyNot}`);

let disk: LoopDisk | undefined;
beforeAll(() => {
  if (whyNot === undefined) disk = new LoopDisk(64);
});
afterAll(() => disk?.remove());

/** Writes until about so many are acknowledged, cuts the power, and answers what was acknowledged. */
async function writeUntilCut(on: LoopDisk, epoch: number, about: number): Promise<readonly string[]> {
  const child = spawn(process.execPath, [PROGRAM, join(on.mountPoint, 'data'), String(epoch)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  try {
    let told = '';
    child.stdout.on('data', (chunk: Buffer) => (told += chunk.toString()));
    await eventually(
      () => child.exitCode !== null || told.split('\n').length > about,
      'intents are acknowledged',
      60_000,
    );
    const cutAt = on.cutPower();
    child.kill('SIGKILL');
    await once(child, 'close');
    const lines = told.split('\n').slice(0, -1);
    return lines.map((line) => line.split(' ')).flatMap(([id = '', at = '']) => (BigInt(at) < cutAt ? [id] : []));
  } finally {
    child.kill('SIGKILL');
  }
}

async function recovered(on: LoopDisk, epoch: number): Promise<ReadonlySet<string>> {
  const dataDir = join(on.mountPoint, 'data');
  const slot = await openJournal(
    { dataDir, slot: 1, freeBytesMin: 0, ringSize: 100, keepKeysDays: 9 },
    new SystemClock(),
  );
  const journal = await slot.adopt('account_001' as AccountId, epoch);
  const kept = new Set(journal.openIntents().map(({ clientOrderId }) => clientOrderId));
  await slot.close();
  const audited = new Set<unknown>();
  for await (const { facts } of readAudit(join(dataDir, 'audit'), {})) audited.add(facts['client_order_id']);
  return new Set([...kept].filter((id) => audited.has(id)));
}

(whyNot === undefined ? test : test.skip)(
  'no intent that was acknowledged is missing after the power was cut, in the journal or in the audit trail',
  async () => {
    const random = aRandom(SEED);
    let acknowledged = 0;
    for (let cut = 1; cut <= CUTS; cut += 1) {
      // A journal that has grown, then a fresh one.
      if (disk === undefined || cut % 25 === 0) {
        disk?.remove();
        disk = new LoopDisk(64);
      }
      const told = await writeUntilCut(disk, 2 * cut, 1 + random.below(300));
      disk.unmount();
      disk.mount();
      const kept = await recovered(disk, 2 * cut + 1);
      expect({ cut, seed: SEED, missing: told.filter((id) => !kept.has(id)) }).toEqual({
        cut,
        seed: SEED,
        missing: [],
      });
      acknowledged += told.length;
    }
    tell(`power cuts, seed ${SEED}: ${CUTS} cuts, ${acknowledged} acknowledged intents, 0 missing`);
    expect(acknowledged).toBeGreaterThan(0);
  },
  60_000 + CUTS * 30_000,
);
