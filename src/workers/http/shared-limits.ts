/** Puts the shared request limits together. Loaded only where instances share accounts and a limit is configured. */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { LimiterSource } from './gate.js';
import { RedisAllowances } from './redis-allowances.js';
import { SharedLimiter } from './shared-limiter.js';

export interface SharedLimits {
  readonly limiter: LimiterSource;
  close(): void;
}

export function openSharedLimits(
  redis: { readonly url: string; readonly keyPrefix: string },
  /** Of all instances together. */
  workers: () => number,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): SharedLimits {
  const store = new RedisAllowances(redis, clock, log);
  const limiters: SharedLimiter[] = [];
  return {
    limiter: (what, perMinute) => {
      const limiter = new SharedLimiter({ store, what, perMinute, workers, clock });
      limiters.push(limiter);
      return limiter;
    },
    close: () => {
      for (const limiter of limiters) limiter.close();
      store.close();
    },
  };
}
