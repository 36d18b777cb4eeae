/**
 * Ends this process when one step blocks it for ever. The steps are synchronous, so that no timer of the same thread could
 * notice: another thread watches a counter. The bound is no measure of speed; a step takes a thousandth of it.
 */
import { Worker } from 'node:worker_threads';

/** The other thread's program; its data are `steps`, `what` and `boundMs`. */
export const WATCH = `
const { workerData } = require('node:worker_threads');
const { writeSync } = require('node:fs');
const steps = new Int32Array(workerData.steps);
let last = -1;
let since = Date.now();
setInterval(() => {
  const now = Atomics.load(steps, 0);
  // Even: between two steps.
  if (now !== last || now % 2 === 0) {
    last = now;
    since = Date.now();
  } else if (Date.now() - since > workerData.boundMs) {
    writeSync(2, 'hangs: ' + workerData.what + '\\n');
    process.kill(process.pid, 'SIGKILL');
  }
}, workerData.boundMs / 20);
`;

export interface HangGuard {
  /** Runs a synchronous step. */
  step<T>(act: () => T): T;
  close(): Promise<void>;
}

export function guardAgainstHanging(what: string, boundMs = 60_000): HangGuard {
  const shared = new SharedArrayBuffer(4);
  const steps = new Int32Array(shared);
  const watcher = new Worker(WATCH, { eval: true, workerData: { steps: shared, what, boundMs } });
  watcher.unref();
  return {
    step: (act) => {
      Atomics.add(steps, 0, 1);
      try {
        return act();
      } finally {
        Atomics.add(steps, 0, 1);
      }
    },
    close: async () => {
      await watcher.terminate();
    },
  };
}
