/** How long to wait before a dead worker is replaced: not at all, unless workers die young one after the other. */
import type { Clock } from '../kernel/runtime/clock.js';

/** A worker that was ready for this long did not die of its start. */
const GROWN_UP_MS = 10_000;
const DELAY_MIN_MS = 200;
const DELAY_MAX_MS = 30_000;
/** From here on it is a loop, and readiness says so. */
const LOOP_DEATHS = 5;

export class RestartPolicy {
  #youngDeaths = 0;

  constructor(private readonly clock: Clock) {}

  /** @param readyAt monotonic; undefined when it never was ready */
  delayAfter(readyAt: number | undefined): number {
    const isGrownUp = readyAt !== undefined && this.clock.monotonicMs() - readyAt >= GROWN_UP_MS;
    this.#youngDeaths = isGrownUp ? 0 : this.#youngDeaths + 1;
    if (this.#youngDeaths <= 2) return 0;
    return Math.min(DELAY_MAX_MS, DELAY_MIN_MS * 2 ** (this.#youngDeaths - 3));
  }

  isLooping(): boolean {
    return this.#youngDeaths >= LOOP_DEATHS;
  }
}
