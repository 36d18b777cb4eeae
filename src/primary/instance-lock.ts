/**
 * One primary an instance and a data directory. The lock is an abstract Unix socket: the kernel frees it with the
 * process, however that ends, and a stopped process still holds it, which is what we want.
 */
import { realpathSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:net';
import { GatewayError } from '../kernel/domain/errors.js';

export interface InstanceLock {
  release(): Promise<void>;
}

/** @throws GatewayError INSTANCE_LOCKED when another primary works with this directory */
export async function lockInstance(dataDir: string): Promise<InstanceLock> {
  const name = createHash('sha256').update(realpathSync(dataDir)).digest('hex').slice(0, 32);
  const server = createServer((socket) => socket.destroy());
  await listen(server, `\0opitios-primary-${name}`, dataDir);
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, path: string, dataDir: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `another gateway already runs with the data directory ${dataDir}`;
      reject(new GatewayError('INSTANCE_LOCKED', { dataDir }, { cause, message }));
    });
    server.listen(path, resolve);
  });
}
