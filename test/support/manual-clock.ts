/** Time that a test turns by hand. Both clocks move together unless `stepWall` says otherwise. */
import type { Clock } from '../../src/kernel/runtime/clock.js';

interface Alarm {
  readonly at: number;
  readonly ring: () => void;
}

export class ManualClock implements Clock {
  #monotonicMs = 0;
  #wallMs: number;
  #alarms: Alarm[] = [];

  constructor(startAt = Date.UTC(2026, 0, 5, 15, 0, 0)) {
    this.#wallMs = startAt;
  }

  now(): number {
    return this.#wallMs;
  }

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal?.aborted === true) {
        resolve();
        return;
      }
      const cancel = this.after(ms, resolve);
      signal?.addEventListener('abort', () => {
        cancel();
        resolve();
      });
    });
  }

  after(ms: number, run: () => void): () => void {
    const alarm = { at: this.#monotonicMs + ms, ring: run };
    this.#alarms.push(alarm);
    return () => {
      this.#alarms = this.#alarms.filter((other) => other !== alarm);
    };
  }

  /** Rings every alarm on the way in its order, letting promises settle between them. */
  async advance(ms: number): Promise<void> {
    const end = this.#monotonicMs + ms;
    await settle();
    for (;;) {
      const next = this.#alarms.filter((alarm) => alarm.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#alarms = this.#alarms.filter((other) => other !== next);
      this.#move(Math.max(0, next.at - this.#monotonicMs));
      next.ring();
      await settle();
    }
    this.#move(end - this.#monotonicMs);
    await settle();
  }

  /** The wall clock jumps, as when somebody sets it; the monotonic clock does not notice. */
  stepWall(ms: number): void {
    this.#wallMs += ms;
  }

  #move(ms: number): void {
    this.#monotonicMs += ms;
    this.#wallMs += ms;
  }
}

/** Lets every promise that can settle do so: a macrotask runs after all of them. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
