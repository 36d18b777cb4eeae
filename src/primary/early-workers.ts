/**
 * Workers that are forked before anything else: they load their modules, a second of processor time, while the primary
 * loads its own and reads the configuration. A worker is nobody's until it is told to start, so it does not matter yet how
 * many there are to be. See docs/decisions/0053.
 */
import type { WorkerMessage } from '../kernel/ipc/control.js';
import { SystemClock } from '../kernel/runtime/system-clock.js';
import { Forker } from './fork.js';
import { WorkerProcess, type ProcessEvents } from './worker-process.js';

/** Every gateway needs these: two workers, or a worker and its spare. */
const FORKED_EARLY = 2;

interface Early {
  readonly one: WorkerProcess;
  /** From now on its events go there; what it has said before is said again. */
  adopt(events: ProcessEvents): void;
}

export class EarlyWorkers {
  readonly #forker = new Forker({ entry: new URL('../workers/main.js', import.meta.url).pathname, environment: {} });
  readonly #clock = new SystemClock();
  readonly #waiting: Early[] = Array.from({ length: FORKED_EARLY }, () => this.#forkEarly());

  /** A worker that was forked before, as long as there are any, and a new one then. */
  fork(events: ProcessEvents): WorkerProcess {
    let early = this.#waiting.shift();
    while (early?.one.phase === 'gone') early = this.#waiting.shift();
    if (early === undefined) return new WorkerProcess(this.#forker.fork(), this.#clock, events);
    early.adopt(events);
    return early.one;
  }

  /** Whom nobody needed. */
  dismiss(): void {
    for (const { one } of this.#waiting.splice(0)) one.kill('planned');
  }

  get diesWithPrimary(): boolean {
    return this.#forker.diesWithPrimary;
  }

  #forkEarly(): Early {
    let adopted: ProcessEvents | undefined;
    const said: WorkerMessage[] = [];
    const one = new WorkerProcess(this.#forker.fork(), this.#clock, {
      onMessage: (from, message) => {
        if (adopted === undefined) said.push(message);
        else adopted.onMessage(from, message);
      },
      onEnd: (ended, cause) => adopted?.onEnd(ended, cause),
    });
    const adopt = (events: ProcessEvents): void => {
      adopted = events;
      // Not before the caller knows whose words they are.
      queueMicrotask(() => {
        for (const message of said.splice(0)) events.onMessage(one, message);
      });
    };
    return { one, adopt };
  }
}
