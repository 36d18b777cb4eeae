/**
 * Profiles of this process for the browser tools, one at a time. The heap is sampled, never dumped: a dump stops the
 * event loop for seconds, and a worker that trades may not stand still.
 */
import { Session } from 'node:inspector/promises';
import type { ProfileKind } from '../../kernel/ipc/control.js';
import type { Clock } from '../../kernel/runtime/clock.js';

/** Bytes allocated between two samples, on average. */
const HEAP_INTERVAL_BYTES = 32_768;

export class Profiler {
  #isBusy = false;

  constructor(private readonly clock: Clock) {}

  /** JSON of a `.cpuprofile` or `.heapprofile`; undefined while another one is taken. */
  async take(kind: ProfileKind, seconds: number): Promise<Uint8Array | undefined> {
    if (this.#isBusy) return undefined;
    this.#isBusy = true;
    const session = new Session();
    session.connect();
    try {
      const profile = kind === 'cpu' ? await this.#cpu(session, seconds) : await this.#heap(session, seconds);
      return Buffer.from(JSON.stringify(profile));
    } finally {
      session.disconnect();
      this.#isBusy = false;
    }
  }

  async #cpu(session: Session, seconds: number): Promise<unknown> {
    await session.post('Profiler.enable');
    await session.post('Profiler.start');
    await this.clock.sleep(seconds * 1_000);
    return (await session.post('Profiler.stop')).profile;
  }

  async #heap(session: Session, seconds: number): Promise<unknown> {
    await session.post('HeapProfiler.enable');
    await session.post('HeapProfiler.startSampling', { samplingInterval: HEAP_INTERVAL_BYTES });
    await this.clock.sleep(seconds * 1_000);
    return (await session.post('HeapProfiler.stopSampling')).profile;
  }
}
