/** A small filesystem that is really full: orders are refused before they are sent, reads go on, and room is all it takes. */
import { afterEach, expect, test } from '@jest/globals';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { aKey, callerOf, ledgerEnd, writesSince } from '../../support/gateway-orders.js';
import { eventually, startGateway, type GatewayProcess } from '../../support/gateway-process.js';
import { LoopDisk } from '../../support/loop-disk.js';
import { tell } from '../../support/order-load.js';

const whyNot = LoopDisk.whyNot();
if (whyNot !== undefined) tell(`full disks are skipped: ${whyNot}`);
const testAsRoot = whyNot === undefined ? test : test.skip;

let disk: LoopDisk | undefined;
let gateway: GatewayProcess | undefined;
afterEach(async () => {
  await gateway?.stop();
  gateway = undefined;
  disk?.remove();
  disk = undefined;
}, 60_000);

/** Until the filesystem takes no more byte. */
function fill(on: LoopDisk): string {
  const path = join(on.mountPoint, 'ballast');
  const file = openSync(path, 'a');
  try {
    for (const size of [1 << 20, 1 << 12, 1]) writeUntilFull(file, Buffer.alloc(size));
  } finally {
    closeSync(file);
  }
  return path;
}

function writeUntilFull(file: number, block: Buffer): void {
  try {
    for (;;) if (writeSync(file, block) < block.length) return;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOSPC') throw cause;
  }
}

testAsRoot(
  'a gateway whose disk is full answers orders 503 before they are sent, reads on, and recovers by itself',
  async () => {
    const small = (disk = new LoopDisk(96));
    const started = (gateway = await startGateway({
      ...{ accounts: 2, workers: 1, config: { data_dir: join(small.mountPoint, 'data') } },
      simulator: ['--rate', '100000', '--fills', 'manual'],
    }));
    const call = await callerOf(started);
    const order = { symbol: 'AAPL', qty: '1', side: 'buy', type: 'limit', limit_price: '1', time_in_force: 'day' };
    const place = async (): Promise<{ readonly status: number; readonly json: Record<string, unknown> }> =>
      call('POST', '/accounts/account_001/orders/stocks', order, aKey());
    expect((await place()).status).toBe(201);

    const ballast = fill(small);
    await eventually(async () => (await place()).status !== 201, 'the full disk is noticed');
    const before = await ledgerEnd(started);
    const refused = await Promise.all(Array.from({ length: 10 }, place));
    expect(refused.map(({ status, json }) => `${status} ${String(json['code'])}`)).toEqual(
      Array.from({ length: 10 }, () => '503 order-not-sent'),
    );
    expect(await writesSince(started, before)).toEqual([]);
    expect((await call('GET', '/accounts/account_001/positions?fresh=true')).status).toBe(200);
    expect((await call('GET', '/accounts/account_001/orders')).status).toBe(200);

    rmSync(ballast);
    const { workers } = await started.pool();
    await eventually(async () => (await place()).status === 201, 'orders are taken again');
    expect((await started.pool()).workers.map(({ pid }) => pid)).toEqual(workers.map(({ pid }) => pid));
  },
  120_000,
);
