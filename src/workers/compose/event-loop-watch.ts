/**
 * Says in the log when the event loop stood still, and what it was doing. A thread beside it watches its beats, and asks
 * the inspector for the stack while the loop stands: afterwards nobody could tell. The thread writes by itself, because a
 * worker that stands for long is killed before it could.
 */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import { BEAT_MS, BLOCKED_MS } from './loop-witness-limits.js';

export interface WatchOptions {
  /** On every line of the witness. */
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface LoopWatch {
  /** Resolves when the witness looks. */
  readonly watching: Promise<void>;
  stop(): void;
}

export function watchEventLoop(clock: Clock, log: Log, options: WatchOptions): LoopWatch {
  const stop = new AbortController();
  const beats = new Int32Array(new SharedArrayBuffer(4));
  const witness = new Worker(new URL('./loop-witness.js', import.meta.url), {
    workerData: { beats, fields: options.fields },
    // What the process was started with (a debugger, a loader) is not meant for it.
    execArgv: [],
  });
  witness.unref();
  witness.on('error', (cause) => log.error({ cause }, 'the event loop is watched no more'));
  const watch = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const before = clock.monotonicMs();
      await clock.sleep(BEAT_MS, stop.signal);
      Atomics.add(beats, 0, 1);
      const blockedMs = Math.round(clock.monotonicMs() - before - BEAT_MS);
      if (blockedMs > BLOCKED_MS) log.warn({ blockedMs }, 'event loop was blocked');
    }
  };
  void watch();
  return {
    watching: new Promise((resolve) => witness.once('message', () => resolve())),
    stop: () => {
      stop.abort();
      void witness.terminate();
    },
  };
}
