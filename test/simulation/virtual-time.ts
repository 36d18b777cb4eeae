/** Time as a queue of events. A process has its own view of it, which ends when the process is killed. */
import type { Clock } from '../../src/kernel/runtime/clock.js';

interface Due {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
}

export class VirtualTime {
  #now = 0;
  #order = 0;
  #queue: Due[] = [];
  wallOffset = Date.UTC(2026, 0, 5, 15, 0, 0);

  get now(): number {
    return this.#now;
  }

  at(delayMs: number, run: () => void): () => void {
    const due = { at: this.#now + Math.max(0, delayMs), order: this.#order++, run };
    const index = this.#queue.findIndex((other) => other.at > due.at);
    this.#queue.splice(index === -1 ? this.#queue.length : index, 0, due);
    return () => {
      this.#queue = this.#queue.filter((other) => other !== due);
    };
  }

  /** Runs the next event if it is due by `until`, then everything that follows from it at once. */
  async step(until: number): Promise<boolean> {
    const next = this.#queue[0];
    if (next === undefined || next.at > until) {
      this.#now = until;
      return false;
    }
    this.#queue.shift();
    this.#now = next.at;
    next.run();
    await settle();
    return true;
  }
}

/** A killed process never hears from its clock again. */
export class ProcessClock implements Clock {
  constructor(
    private readonly time: VirtualTime,
    private readonly process: { readonly isAlive: boolean },
  ) {}

  now(): number {
    return Math.floor(this.time.now + this.time.wallOffset);
  }

  monotonicMs(): number {
    return this.time.now;
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
    return this.time.at(ms, () => {
      if (this.process.isAlive) run();
    });
  }
}

/** A macrotask runs after every promise that can settle. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
