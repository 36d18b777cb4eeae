/**
 * Holds a slot's journal for one process. The lock is an abstract Unix socket: the kernel frees it the moment its
 * process is gone, and a process that is merely stopped keeps it, which is what we want. Linux only; elsewhere the
 * lock is a socket file in the journal's own directory, cleared when nobody listens on it.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, realpathSync, rmSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { platform } from 'node:process';
import { GatewayError } from '../domain/errors.js';

export interface SlotLock {
  release(): Promise<void>;
}

/** @throws GatewayError JOURNAL_LOCKED when another process, dead or stopped but not reaped, holds it */
export async function lockSlot(dir: string): Promise<SlotLock> {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = platform === 'linux' ? abstractName(dir) : join(dir, 'owner.sock');
  if (platform !== 'linux' && !(await somebodyListens(path))) rmSync(path, { force: true });
  const server = createServer((socket) => socket.destroy());
  await listen(server, path, dir);
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function abstractName(dir: string): string {
  return `\0opitios-journal-${createHash('sha256').update(realpathSync(dir)).digest('hex').slice(0, 32)}`;
}

function listen(server: Server, path: string, dir: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => reject(new GatewayError('JOURNAL_LOCKED', { dir }, { cause })));
    server.listen({ path, exclusive: true }, resolve);
  });
}

function somebodyListens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
