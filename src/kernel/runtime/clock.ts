/** Time as a dependency: production binds SystemClock, tests turn a ManualClock. */

export interface Clock {
  /** Wall time, milliseconds since the epoch. Never used to measure a duration. */
  now(): number;
  /** Monotonic milliseconds; only differences mean anything. The same for all processes of the machine. */
  monotonicMs(): number;
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Runs once after `ms` unless canceled by the returned function. Does not keep the process alive. */
  after(ms: number, run: () => void): () => void;
}
