/**
 * The simulator's time. Real by default; a test that wants to turn it by hand starts the simulator with a manual
 * clock and calls `advance`. Everything that the venue does later (fills, expiry, late acceptance) goes through here.
 */
export interface SimClock {
  /** Wall time in milliseconds since the epoch, as the venue believes it to be. */
  now(): number;
  /** Runs once after `ms` of this clock unless canceled by the returned function. Never keeps the process alive. */
  after(ms: number, run: () => void): () => void;
  /** Manual clock: rings every alarm on the way, in order. Real clock: moves `now` ahead and rings what became due. */
  advance(ms: number): void;
}

interface Alarm {
  readonly at: number;
  readonly run: () => void;
}

/** Time moves only when `advance` is called. */
export class ManualSimClock implements SimClock {
  #now: number;
  readonly #alarms = new Set<Alarm>();

  constructor(startAt = Date.UTC(2026, 0, 5, 15, 0, 0)) {
    this.#now = startAt;
  }

  now(): number {
    return this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const alarm = { at: this.#now + Math.max(0, ms), run };
    this.#alarms.add(alarm);
    return () => {
      this.#alarms.delete(alarm);
    };
  }

  advance(ms: number): void {
    const end = this.#now + ms;
    for (let due = this.#next(end); due !== undefined; due = this.#next(end)) {
      this.#alarms.delete(due);
      this.#now = Math.max(this.#now, due.at);
      due.run();
    }
    this.#now = end;
  }

  #next(end: number): Alarm | undefined {
    let first: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.at <= end && (first === undefined || alarm.at < first.at)) first = alarm;
    }
    return first;
  }
}

/** The machine's clock plus whatever `advance` added. Timers run on the machine's time; an advance rings them early. */
export class RealSimClock implements SimClock {
  #aheadMs = 0;
  readonly #alarms = new Map<NodeJS.Timeout, Alarm>();

  now(): number {
    return Date.now() + this.#aheadMs;
  }

  after(ms: number, run: () => void): () => void {
    const alarm = { at: this.now() + ms, run };
    const timer = setTimeout(
      () => {
        this.#alarms.delete(timer);
        run();
      },
      Math.max(0, ms),
    );
    timer.unref();
    this.#alarms.set(timer, alarm);
    return () => {
      clearTimeout(timer);
      this.#alarms.delete(timer);
    };
  }

  advance(ms: number): void {
    this.#aheadMs += ms;
    const now = this.now();
    const due = [...this.#alarms].filter(([, alarm]) => alarm.at <= now).sort(([, a], [, b]) => a.at - b.at);
    for (const [timer, alarm] of due) {
      clearTimeout(timer);
      if (this.#alarms.delete(timer)) alarm.run();
    }
  }

  /** Drops everything that was going to happen; called when the simulator closes. */
  close(): void {
    for (const timer of this.#alarms.keys()) clearTimeout(timer);
    this.#alarms.clear();
  }
}
