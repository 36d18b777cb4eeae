/**
 * What one account may still ask of the broker in this minute. The broker counts in fixed windows and says so with every
 * answer; between answers this counts what was sent. It errs on the late side: a window is over here when it is surely
 * over there. Lanes: cancel before order before lookup before read; the lower ones leave a reserve to the higher.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { RateHeaders } from '../alpaca/rate-headers.js';
import type { BudgetLane } from './account-session.js';

export interface RateBudgetOptions {
  /** Until the broker says otherwise. */
  readonly limitPerMinute: number;
  /** Calls of this account on the wire at once: a broker that hangs for one account must not take all sockets. */
  readonly inFlightMax: number;
  readonly waitingMax: number;
}

export type Admission =
  | { readonly kind: 'admitted'; readonly permit: Permit }
  | { readonly kind: 'refused'; readonly reason: Refusal; readonly retryAfterS: number };

/** `crowd`: there is budget, but as many as may wait do so already. */
export type Refusal = 'budget' | 'crowd' | 'deadline';

export interface Permit {
  /** With the rate headers of the answer, when there was one. */
  release(headers?: RateHeaders): void;
  /** Nothing was sent: the broker did not count it. */
  giveBack(): void;
}

/** Share of the limit that a lane leaves untouched for the lanes before it. */
const RESERVE: Readonly<Record<BudgetLane, number>> = { cancel: 0, lookup: 0.02, order: 0.2, read: 0.3 };
/** Whose turn comes first when several wait. */
const ORDER: readonly BudgetLane[] = ['cancel', 'order', 'lookup', 'read'];
/** Cancels and lookups are not held up by reads that hang. */
const EXTRA_IN_FLIGHT: Readonly<Record<BudgetLane, number>> = { cancel: 8, lookup: 4, order: 4, read: 0 };
const WINDOW_MS = 60_000;

interface Waiting {
  readonly settle: (admission: Admission) => void;
  readonly release: () => void;
}

export class RateBudget {
  readonly #lanes: Readonly<Record<BudgetLane, Set<Waiting>>> = {
    cancel: new Set(),
    order: new Set(),
    lookup: new Set(),
    read: new Set(),
  };
  #limit: number;
  #used = 0;
  #inFlight = 0;
  #resetAtS = 0;
  /** Monotonic; the window is surely over then. */
  #windowEndMs = 0;
  #pausedUntilMs = 0;
  #cancelWake: (() => void) | undefined;

  constructor(
    private readonly options: RateBudgetOptions,
    private readonly clock: Clock,
  ) {
    this.#limit = options.limitPerMinute;
  }

  state(): { readonly limit: number; readonly remaining: number; readonly resetsInMs: number } {
    this.#turnWindow();
    const resetsInMs = Math.max(0, Math.round(this.#windowEndMs - this.clock.monotonicMs()));
    return { limit: this.#limit, remaining: Math.max(0, this.#limit - this.#used), resetsInMs };
  }

  /** Waits for its turn, at most until the deadline; refuses at once what cannot come in time. */
  admit(lane: BudgetLane, deadlineMs: number, signal?: AbortSignal): Promise<Admission> {
    this.#turnWindow();
    if (this.#isFree(lane) && this.#isFirst(lane)) return Promise.resolve(this.#take());
    const waitMs = this.#budgetWaitMs(lane);
    const lanes = this.#lanes[lane];
    if (waitMs > deadlineMs || lanes.size >= this.options.waitingMax || signal?.aborted === true) {
      return Promise.resolve(this.#refuse(waitMs > 0 ? 'budget' : 'crowd', Math.max(waitMs, 1_000)));
    }
    return new Promise((resolve) => {
      const settle = (admission: Admission): void => {
        lanes.delete(waiting);
        waiting.release();
        resolve(admission);
      };
      const late = (): void => settle(this.#refuse('deadline', Math.max(this.#budgetWaitMs(lane), 1_000)));
      const cancelTimer = this.clock.after(deadlineMs, late);
      signal?.addEventListener('abort', late, { once: true });
      const release = (): void => {
        cancelTimer();
        signal?.removeEventListener('abort', late);
      };
      const waiting: Waiting = { settle, release };
      lanes.add(waiting);
      this.#armWake();
    });
  }

  /** The broker said 429: nothing goes out until then, whatever the lane. */
  pause(ms: number): void {
    this.#pausedUntilMs = Math.max(this.#pausedUntilMs, this.clock.monotonicMs() + Math.min(ms, WINDOW_MS + 5_000));
    this.#armWake();
  }

  /** How long no call of this lane goes out from now on. */
  waitMs(lane: BudgetLane): number {
    this.#turnWindow();
    return this.#budgetWaitMs(lane);
  }

  close(): void {
    this.#cancelWake?.();
    for (const lane of ORDER) for (const { settle } of [...this.#lanes[lane]]) settle(this.#refuse('deadline', 1_000));
  }

  #take(): Admission {
    this.#used += 1;
    this.#inFlight += 1;
    let isDone = false;
    const done = (headers: RateHeaders | undefined, wasCounted: boolean): void => {
      if (isDone) return;
      isDone = true;
      this.#inFlight -= 1;
      if (!wasCounted) this.#used = Math.max(0, this.#used - 1);
      if (headers !== undefined) this.#learn(headers);
      this.#serve();
    };
    return {
      kind: 'admitted',
      permit: { release: (headers) => done(headers, true), giveBack: () => done(undefined, false) },
    };
  }

  #refuse(reason: Refusal, waitMs: number): Admission {
    return { kind: 'refused', reason, retryAfterS: Math.ceil(waitMs / 1000) };
  }

  #learn({ limit, remaining, resetAtS, brokerNowMs }: RateHeaders): void {
    if (limit < 1) return;
    this.#limit = limit;
    const inMs = resetAtS * 1000 - (brokerNowMs ?? this.clock.now()) + 1_000;
    // An answer of a window that is over says nothing about this one.
    if (resetAtS < this.#resetAtS || inMs <= 0) return;
    const brokerUsed = limit - Math.min(remaining, limit) + this.#inFlight;
    if (inMs > WINDOW_MS + 2_000) {
      // A reset this far off is a clock gone wrong: its figure counts, its time would silence the answers to come.
      this.#used = Math.max(this.#used, brokerUsed);
      return;
    }
    if (resetAtS > this.#resetAtS) {
      this.#resetAtS = resetAtS;
      this.#used = brokerUsed;
    } else this.#used = Math.max(this.#used, brokerUsed);
    // Both figures are whole seconds: one more, to be late rather than early.
    this.#windowEndMs = this.clock.monotonicMs() + inMs;
  }

  #turnWindow(): void {
    const now = this.clock.monotonicMs();
    if (now < this.#windowEndMs) return;
    this.#used = this.#inFlight;
    this.#windowEndMs = now + WINDOW_MS;
  }

  #isFree(lane: BudgetLane): boolean {
    if (this.clock.monotonicMs() < this.#pausedUntilMs) return false;
    if (this.#inFlight >= this.options.inFlightMax + EXTRA_IN_FLIGHT[lane]) return false;
    return this.#used < this.#ceiling(lane);
  }

  /** At least one request a window for every lane, however small the limit. */
  #ceiling(lane: BudgetLane): number {
    return Math.max(1, Math.floor(this.#limit * (1 - RESERVE[lane])));
  }

  #isFirst(lane: BudgetLane): boolean {
    return ORDER.slice(0, ORDER.indexOf(lane) + 1).every((other) => this.#lanes[other].size === 0);
  }

  /** How long until the window or a pause could let the lane through; 0 when only a place on the wire is missing. */
  #budgetWaitMs(lane: BudgetLane): number {
    const now = this.clock.monotonicMs();
    const untilWindow = this.#used < this.#ceiling(lane) ? 0 : this.#windowEndMs - now;
    return Math.max(0, untilWindow, this.#pausedUntilMs - now);
  }

  #serve(): void {
    this.#turnWindow();
    for (const lane of ORDER) {
      for (const waiting of this.#lanes[lane]) {
        if (!this.#isFree(lane)) break;
        waiting.settle(this.#take());
      }
    }
    this.#armWake();
  }

  /** Anew each time: an answer may have moved the end of the window. */
  #armWake(): void {
    this.#cancelWake?.();
    this.#cancelWake = undefined;
    if (ORDER.every((lane) => this.#lanes[lane].size === 0)) return;
    const now = this.clock.monotonicMs();
    const wakeAt = this.#pausedUntilMs > now ? this.#pausedUntilMs : this.#windowEndMs;
    this.#cancelWake = this.clock.after(Math.max(1, wakeAt - now), () => {
      this.#cancelWake = undefined;
      this.#serve();
    });
  }
}
