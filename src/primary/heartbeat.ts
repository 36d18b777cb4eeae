/** Asks every worker for a sign of life and kills the silent ones. What their end means is the supervisor's to say. */
import type { Clock } from '../kernel/runtime/clock.js';
import type { WorkerProcess } from './worker-process.js';

const BEAT_MS = 250;
/** Silent for this many beats is dead; a worker that starts may be busy with a thousand handshakes. */
const MISSED_MAX = 4;
/** One that runs all the same is busy or starved: killing it would add its accounts' reopening to an overload. */
const MISSED_MAX_RUNNING = 24;
const MISSED_MAX_STARTING = 60;

/** Beats until the signal. A beat that we ourselves were late with proves nothing against a worker. */
export async function keepBeating(workers: Iterable<WorkerProcess>, clock: Clock, signal: AbortSignal): Promise<void> {
  let lastAt = clock.monotonicMs();
  while (!signal.aborted) {
    await clock.sleep(BEAT_MS, signal);
    const now = clock.monotonicMs();
    const isLate = now - lastAt > BEAT_MS * 2;
    lastAt = now;
    for (const one of workers) beat(one, now, isLate);
  }
}

function beat(one: WorkerProcess, now: number, isLate: boolean): void {
  if (one.phase === 'forked' || one.phase === 'gone') return;
  if (!isLate) one.missedBeats += 1;
  const most = one.phase === 'ready' || one.phase === 'idle' ? MISSED_MAX : MISSED_MAX_STARTING;
  // Asked at every missed beat, so that it speaks of the time since the last one.
  const hasRun = one.missedBeats > 1 && one.pulse.hasRun(one.pid);
  if (one.missedBeats > (hasRun ? Math.max(most, MISSED_MAX_RUNNING) : most)) one.kill('silent');
  else one.send({ kind: 'ping', sentAt: now });
}
