/** The supervisor over workers that do at once what they are told. */
import { afterEach, expect, test } from '@jest/globals';
import type { Worker } from 'node:cluster';
import { EventEmitter } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { PrimaryMessage, WorkerMessage } from '../../../src/kernel/ipc/control.js';
import { SystemClock } from '../../../src/kernel/runtime/system-clock.js';
import { AssignmentTable } from '../../../src/primary/assignment.js';
import { Supervisor } from '../../../src/primary/supervisor.js';
import { WorkerProcess } from '../../../src/primary/worker-process.js';

const directory = mkdtempSync(join(tmpdir(), 'opitios-supervisor-'));
let supervisor: Supervisor | undefined;
afterEach(async () => {
  await supervisor?.stop();
  rmSync(directory, { recursive: true, force: true });
});

class ObedientWorker extends EventEmitter {
  readonly process: { readonly pid: number; kill(): void };

  constructor(pid: number) {
    super();
    this.process = { pid, kill: () => setImmediate(() => this.emit('exit')) };
    this.#say({ kind: 'hello' });
  }

  isConnected(): boolean {
    return true;
  }

  send(message: PrimaryMessage): void {
    if (message.kind === 'ping') this.#say({ kind: 'pong', sentAt: message.sentAt, sessions: {} });
    if (message.kind === 'start') this.#say({ kind: 'ready', accounts: 0 });
    if (message.kind === 'release') this.#say({ kind: 'released', assignments: [] });
    if (message.kind === 'drain') setImmediate(() => this.emit('exit'));
  }

  #say(message: WorkerMessage): void {
    setImmediate(() => this.emit('message', message));
  }
}

test('a restart asked for during another replaces once more whoever that one had started', async () => {
  const clock = new SystemClock();
  let forked = 0;
  const asked: Promise<void>[] = [];
  const nothing = (): void => undefined;
  const log = { debug: nothing, info: nothing, warn: nothing, error: nothing, fatal: nothing };
  const running: Supervisor = new Supervisor(
    {
      fork: (events) => {
        forked += 1;
        // One worker is new by now, the other is about to be.
        if (forked === 4) asked.push(running.rollingRestart(), running.rollingRestart());
        return new WorkerProcess(new ObedientWorker(forked) as unknown as Worker, clock, events);
      },
      table: AssignmentTable.open(join(directory, 'ownership.json')),
      workerConfig: () => ({}),
      startMessage: () => Promise.resolve({ kind: 'start' } as PrimaryMessage),
      socket: () => undefined,
      onMessage: nothing,
      onEnd: nothing,
      clock,
      log: { ...log, child: () => log } as never,
      meter: { count: nothing, gauge: nothing, observe: nothing },
    },
    { workers: 2, warmSpare: false },
  );
  supervisor = running;
  await running.start();
  const pids = (): number[] => [...running.active().values()].map(({ pid }) => pid).sort();
  expect(pids()).toEqual([1, 2]);

  await running.rollingRestart();
  expect(pids()).toEqual([3, 4]);
  await Promise.all(asked);

  expect(pids()).toEqual([5, 6]);
});
