/**
 * Many that are looked after at a steady pace, each once an interval. They have turns within it, so that thousands never take
 * the event loop all at once.
 */
import type { Clock } from '../../kernel/runtime/clock.js';

const TURNS = 20;

export class Turns<T> {
  readonly #turns = Array.from({ length: TURNS }, () => new Set<T>());
  readonly #turnOf = new Map<T, Set<T>>();
  #added = 0;

  get size(): number {
    return this.#turnOf.size;
  }

  all(): readonly T[] {
    return [...this.#turnOf.keys()];
  }

  add(one: T): void {
    const turn = this.#turns[this.#added % TURNS] ?? new Set();
    this.#added += 1;
    turn.add(one);
    this.#turnOf.set(one, turn);
  }

  delete(one: T): void {
    this.#turnOf.get(one)?.delete(one);
    this.#turnOf.delete(one);
  }

  /** Until the signal. */
  async each(intervalMs: number, act: (one: T) => void, clock: Clock, signal: AbortSignal): Promise<void> {
    let due = clock.monotonicMs();
    for (let at = 0; !signal.aborted; at = (at + 1) % TURNS) {
      // By the clock, so that a loop that is late does not add up; one that stood still does not hurry after.
      due = Math.max(due + intervalMs / TURNS, clock.monotonicMs());
      await clock.sleep(due - clock.monotonicMs(), signal);
      for (const one of [...(this.#turns[at] ?? [])]) act(one);
    }
  }
}
