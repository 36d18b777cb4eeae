/** A small filesystem that is really full: orders are refused before they are sent, reads go on, and room is enough. */
import { afterEach, expect, jest, test } from '@jest/globals';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { LmdbStore } from '../../../src/kernel/journal/lmdb-store.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
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
  jest.restoreAllMocks();
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
  'a journal whose disk is full refuses, keeps what it said, and takes writes again once there is room',
  async () => {
    // lmdb prints every failed commit.
    jest.spyOn(console, 'error').mockImplementation(() => undefined);
    disk = new LoopDisk(8);
    const dir = join(disk.mountPoint, 'journal');
    const store = new LmdbStore({ dir, readOnly: false, freeBytesMin: 0 }, new SystemClock());
    const kept: string[] = [];
    const write = async (key: string): Promise<string> => {
      try {
        await store.commit([{ key, value: Buffer.alloc(20_000, 1) }]);
        kept.push(key);
        return 'kept';
      } catch (cause) {
        return (cause as { readonly code: string }).code;
      }
    };
    await write('a/0');
    const ballast = fill(disk);

    const said: string[] = [];
    for (let n = 1; n <= 40; n += 1) said.push(await write(`a/${n}`));
    expect(said.at(-1)).toBe('JOURNAL_BROKEN');
    expect(statfsSync(disk.mountPoint).bavail).toBeLessThan(8);
    expect(store.trouble()).toBeUndefined();

    rmSync(ballast);
    expect(await write('b/1')).toBe('kept');
    await store.close();
    const again = new LmdbStore({ dir, readOnly: true, freeBytesMin: 0 }, new SystemClock());
    expect(kept.filter((key) => again.get(key) === undefined)).toEqual([]);
    await again.close();
  },
  60_000,
);

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
