/**
 * Where an instance's table lies: one private directory a boot of an instance, on tmpfs where there is room. The name
 * holds the primary's pid, so that the table of a dead boot can be told and removed. Refuses a directory of another user.
 */
import { mkdirSync, readdirSync, rmSync, statfsSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GatewayError } from '../domain/errors.js';

const PREFIX = 'opitios-quotes-';

export interface TablePlace {
  /** `marketData.sharedMemoryDir`. */
  readonly base: string;
  readonly instanceId: string;
  /** The primary's pid: the same for all workers of a boot. */
  readonly bootPid: number;
  readonly sizeMb: number;
}

/** Creates the directory (0700) if need be and returns it. @throws GatewayError SHARED_MEMORY_BROKEN */
export function tableDirectory(place: TablePlace): string {
  const base = hasRoom(place.base, place.sizeMb) ? place.base : tmpdir();
  const directory = join(base, `${PREFIX}${place.instanceId.replaceAll(/[^\w-]/g, '_')}-${String(place.bootPid)}`);
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const found = statSync(directory);
    const mine = process.getuid === undefined || found.uid === process.getuid();
    if (!mine || (found.mode & 0o077) !== 0) throw new GatewayError('SHARED_MEMORY_BROKEN', { directory });
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    throw new GatewayError('SHARED_MEMORY_BROKEN', { directory }, { cause });
  }
  return directory;
}

/** Removes tables whose primary is dead; of any instance, since a dead one cannot clean up. Returns what it removed. */
export function sweepStaleTables(base: string, isAlive: (pid: number) => boolean = processIsAlive): readonly string[] {
  return removeTables(base, (pid) => !isAlive(pid));
}

/** Removes the table of a boot whose workers have ended: tmpfs is memory. */
export function removeTable(base: string, bootPid: number): void {
  removeTables(base, (pid) => pid === bootPid);
}

function removeTables(base: string, isOver: (pid: number) => boolean): readonly string[] {
  const removed: string[] = [];
  for (const parent of new Set([base, tmpdir()])) {
    for (const name of list(parent)) {
      const pid = /^opitios-quotes-[\w-]+-(\d+)$/.exec(name)?.[1];
      if (pid === undefined || !isOver(Number(pid))) continue;
      try {
        rmSync(join(parent, name), { recursive: true, force: true });
        removed.push(join(parent, name));
      } catch {
        // Another user's: not ours to remove, and no reason to fail a start.
      }
    }
  }
  return removed;
}

function list(parent: string): readonly string[] {
  try {
    return readdirSync(parent);
  } catch {
    return [];
  }
}

/** A container's /dev/shm may be 64 MB: writing past its end would be an error in the middle of the day. */
function hasRoom(base: string, sizeMb: number): boolean {
  try {
    const room = statfsSync(base);
    return room.bavail * room.bsize >= sizeMb * 1_048_576;
  } catch {
    return false;
  }
}

function processIsAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
