/** Measures how late the event loop is, for the metrics: a request that arrives now waits as long. It judges nothing. */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Meter } from '../../kernel/runtime/meter.js';

const EVERY_MS = 20;

/** Goes on until the signal. */
export async function meterLoopDelay(clock: Clock, meter: Meter, signal?: AbortSignal): Promise<void> {
  while (signal?.aborted !== true) {
    const before = clock.monotonicMs();
    await clock.sleep(EVERY_MS, signal);
    const lateMs = clock.monotonicMs() - before - EVERY_MS;
    meter.observe('opitios_event_loop_delay_seconds', Math.max(0, lateMs) / 1_000);
  }
}
