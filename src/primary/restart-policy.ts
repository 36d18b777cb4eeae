/**
 * How long to wait before a dead worker is replaced: not at all, unless workers die young one after the other. What was
 * counted is forgotten after a minute without a death.
 */
import type { Clock } from '../kernel/runtime/clock.js';

/** A worker that was ready for this long did not die of its start. */
const GROWN_UP_MS = 10_000;
const DELAY_MIN_MS = 200;
const DELAY_MAX_MS = 30_000;
const WINDOW_MS = 60_000;
/** So many within the window are trouble, and an alert is sent. */
const TROUBLE_DEATHS = 3;

export class RestartPolicy {
  #youngDeaths = 0;
  /** Monotonic times of the newest deaths, as many as make trouble, oldest first. */
  #deaths: readonly number[] = [];
  #isTroubled = false;

  constructor(private readonly clock: Clock) {}

  /** @param readyAt monotonic; undefined when it never was ready */
  delayAfter(readyAt: number | undefined): number {
    this.#forget();
    const now = this.clock.monotonicMs();
    this.#deaths = [...this.#deaths, now].slice(-TROUBLE_DEATHS);
    const [oldest = now] = this.#deaths;
    if (this.#deaths.length === TROUBLE_DEATHS && now - oldest < WINDOW_MS) this.#isTroubled = true;
    const isGrownUp = readyAt !== undefined && now - readyAt >= GROWN_UP_MS;
    this.#youngDeaths = isGrownUp ? 0 : this.#youngDeaths + 1;
    if (this.#youngDeaths <= 2) return 0;
    return Math.min(DELAY_MAX_MS, DELAY_MIN_MS * 2 ** (this.#youngDeaths - 3));
  }

  /** From the third death within a minute until a minute has passed without one. */
  isTroubled(): boolean {
    this.#forget();
    return this.#isTroubled;
  }

  #forget(): void {
    const last = this.#deaths.at(-1);
    if (last === undefined || this.clock.monotonicMs() - last < WINDOW_MS) return;
    this.#deaths = [];
    this.#youngDeaths = 0;
    this.#isTroubled = false;
  }
}
