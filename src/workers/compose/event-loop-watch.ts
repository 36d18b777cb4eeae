/** Says in the log when the event loop stood still: whoever asked something meanwhile waited that long. */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';

const LOOK_EVERY_MS = 250;
const BLOCKED_MS = 500;

/** Returns what ends it. */
export function watchEventLoop(clock: Clock, log: Log): () => void {
  const stop = new AbortController();
  const watch = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const before = clock.monotonicMs();
      await clock.sleep(LOOK_EVERY_MS, stop.signal);
      const blockedMs = Math.round(clock.monotonicMs() - before - LOOK_EVERY_MS);
      if (blockedMs > BLOCKED_MS) log.warn({ blockedMs }, 'event loop was blocked');
    }
  };
  void watch();
  return () => stop.abort();
}
