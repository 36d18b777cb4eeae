/** A Redis server of our own on a free port of the loopback interface, with nothing on disk. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'redis';
import { freePort } from './free-port.js';

export function hasRedis(): boolean {
  return spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0;
}

export interface RedisProcess {
  readonly url: string;
  readonly port: number;
  command(...words: string[]): Promise<unknown>;
  /** SIGSTOP and SIGCONT: the server is there and does not answer. */
  pause(): void;
  resume(): void;
  /** kill -9, then a new empty server on the same port. */
  restartEmpty(): Promise<void>;
  stop(): Promise<void>;
}

export interface RedisOptions {
  /** In place of the plain port. */
  readonly argumentsOf?: (port: number) => readonly string[];
}

export async function startRedis({ argumentsOf = plainPort }: RedisOptions = {}): Promise<RedisProcess> {
  const port = await freePort();
  const dir = mkdtempSync(join(tmpdir(), 'opitios-redis-'));
  const url = `redis://127.0.0.1:${port}`;
  const start = (): Promise<ChildProcess> => launch(argumentsOf(port), dir);
  let child = await start();
  return {
    url,
    port,
    command: async (...words) => {
      const client = createClient({ url });
      await client.connect();
      try {
        return await client.sendCommand(words);
      } finally {
        client.destroy();
      }
    },
    pause: () => void child.kill('SIGSTOP'),
    resume: () => void child.kill('SIGCONT'),
    restartEmpty: async () => {
      await ended(child, 'SIGKILL');
      child = await start();
    },
    stop: async () => {
      await ended(child, 'SIGKILL');
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

const plainPort = (port: number): readonly string[] => ['--port', String(port)];

async function launch(own: readonly string[], dir: string): Promise<ChildProcess> {
  const args = [...own, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir];
  const child = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error('redis-server did not start')));
    child.stdout.on('data', (text: Buffer) => {
      if (text.includes('Ready to accept connections')) resolve();
    });
  });
  return child;
}

function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    child.once('exit', () => resolve());
    child.kill(signal);
  });
}
