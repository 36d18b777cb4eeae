/**
 * Marks of orders whose first byte may have left, in a small file a worker on shared memory: it outlives a process that is
 * killed, and nothing else. Layout (docs/decisions/0070):
 *
 *   0    64 bytes  head: name, boot id and the file's random id, as text
 *   64   8 bytes a cell, CELLS of them: the number of the last order of this cell that was marked, big endian
 *
 * An order has the cell `number mod CELLS`. A cell that holds less than the order's number was not written for it: its
 * bytes have not left. One that holds more has been used since, and proves nothing.
 */
import { createHash, randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { GatewayError } from '../domain/errors.js';
import type { FirstByteMark } from '../domain/first-byte.js';

const HEAD_BYTES = 64;
const CELL_BYTES = 8;
/** More orders under way in one worker than this, and the oldest lose their proof. */
const CELLS = 16_384;
/** Of earlier workers of the slot: their open orders are settled by the first successor. */
const KEPT_A_SLOT = 4;
const BOOT_ID_FILE = '/proc/sys/kernel/random/boot_id';
const PREFIX = 'opitios-sent-';
/** Holds the path of the data directory that the marks belong to. */
const OWNER_FILE = 'data-dir';
const FILE_NAME = /^\d{1,4}-[0-9a-f]{16}$/;

export interface MarksPlace {
  /** `marketData.sharedMemoryDir`. */
  readonly base: string;
  /** Tells one gateway's marks from another's. */
  readonly dataDir: string;
  readonly slot: number;
}

export class FirstByteMarks {
  readonly #cell = Buffer.alloc(CELL_BYTES);
  #last = 0;

  private constructor(
    private readonly directory: string,
    private readonly boot: string,
    private readonly file: string,
    private readonly descriptor: number,
  ) {}

  /** @throws GatewayError SHARED_MEMORY_BROKEN: orders go without marks then, and a successor knows less */
  static open({ base, dataDir, slot }: MarksPlace): FirstByteMarks {
    try {
      const boot = readFileSync(BOOT_ID_FILE, 'utf8').trim();
      const directory = privateDirectory(base, dataDir);
      forgetOldest(directory, slot);
      const file = `${slot}-${randomBytes(8).toString('hex')}`;
      const descriptor = openSync(join(directory, file), 'wx', 0o600);
      // Every page is taken now: a mark may not fail later for want of memory.
      writeSync(descriptor, Buffer.concat([headOf(boot, file), Buffer.alloc(CELLS * CELL_BYTES)]));
      return new FirstByteMarks(directory, boot, file, descriptor);
    } catch (cause) {
      throw new GatewayError('SHARED_MEMORY_BROKEN', { base }, { cause });
    }
  }

  /** For an order of which nothing has left. */
  next(): FirstByteMark {
    this.#last += 1;
    return { boot: this.boot, file: this.file, number: this.#last };
  }

  /** Right before its first byte. False when it could not be written: then nothing may leave. */
  set({ file, number }: FirstByteMark): boolean {
    // A second attempt of an order that another process had first: the count of its attempts says so.
    if (file !== this.file) return true;
    try {
      this.#cell.writeUIntBE(number, 2, 6);
      return writeSync(this.descriptor, this.#cell, 0, CELL_BYTES, placeOf(number)) === CELL_BYTES;
    } catch {
      return false;
    }
  }

  /** True only when the file of that very name, boot and id is there and says so. Any worker's file may be asked. */
  provesUnsent({ boot, file, number }: FirstByteMark): boolean {
    if (boot !== this.boot || !FILE_NAME.test(file)) return false;
    let descriptor: number | undefined;
    try {
      descriptor = openSync(join(this.directory, file), 'r');
      const head = Buffer.alloc(HEAD_BYTES);
      const cell = Buffer.alloc(CELL_BYTES);
      const isWhole =
        readSync(descriptor, head, 0, HEAD_BYTES, 0) === HEAD_BYTES &&
        readSync(descriptor, cell, 0, CELL_BYTES, placeOf(number)) === CELL_BYTES;
      return isWhole && head.equals(headOf(boot, file)) && cell.readUIntBE(2, 6) < number;
    } catch {
      return false;
    } finally {
      if (descriptor !== undefined) closeSync(descriptor);
    }
  }

  /** The file stays: a successor may have to ask it. */
  close(): void {
    closeSync(this.descriptor);
  }
}

/**
 * Removes the marks of a gateway that stopped in order: shared memory is memory. What it left open is unknown to its
 * successor then, as after a power cut.
 */
export function removeMarks(base: string, dataDir: string): void {
  try {
    const directory = marksDirectory(base, dataDir);
    if (lstatSync(directory).isDirectory()) rmSync(directory, { recursive: true, force: true });
  } catch {
    // There is none, or the data directory is gone already.
  }
}

/** Removes the marks of gateways whose data directory is gone: shared memory is memory. Returns what it removed. */
export function sweepOrphanedMarks(base: string): readonly string[] {
  const removed: string[] = [];
  for (const name of existsSync(base) ? readdirSync(base) : []) {
    const directory = join(base, name);
    try {
      if (!name.startsWith(PREFIX) || existsSync(readFileSync(join(directory, OWNER_FILE), 'utf8'))) continue;
      rmSync(directory, { recursive: true, force: true });
      removed.push(directory);
    } catch {
      // Another user's, or just being made: not ours to remove, and no reason to fail a start.
    }
  }
  return removed;
}

function placeOf(number: number): number {
  return HEAD_BYTES + (number % CELLS) * CELL_BYTES;
}

function headOf(boot: string, file: string): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.write(`OFB1 ${boot} ${file}`, 'latin1');
  return head;
}

function marksDirectory(base: string, dataDir: string): string {
  const name = createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 16);
  return join(base, `${PREFIX}${name}`);
}

/** Not readable and not writable by others, and not a link: who could set or unset a mark could make us lie. */
function privateDirectory(base: string, dataDir: string): string {
  const directory = marksDirectory(base, dataDir);
  if (!existsSync(directory)) mkdirSync(directory, { mode: 0o700 });
  const found = lstatSync(directory);
  const isMine = process.getuid === undefined || found.uid === process.getuid();
  if (!found.isDirectory() || !isMine || (found.mode & 0o077) !== 0)
    throw new GatewayError('SHARED_MEMORY_BROKEN', { directory });
  writeFileSync(join(directory, OWNER_FILE), realpathSync(dataDir), { mode: 0o600 });
  return directory;
}

/** No other process has this slot: its journal is locked. */
function forgetOldest(directory: string, slot: number): void {
  const files = readdirSync(directory)
    .filter((name) => name.startsWith(`${slot}-`) && FILE_NAME.test(name))
    .map((name) => ({ path: join(directory, name), at: statSync(join(directory, name)).mtimeMs }))
    .sort((a, b) => b.at - a.at);
  for (const { path } of files.slice(KEPT_A_SLOT)) rmSync(path, { force: true });
}
