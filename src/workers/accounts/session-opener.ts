/** Opens many sessions without a stampede: so many at once, each with a little delay of its own. */
import type { Clock } from '../../kernel/runtime/clock.js';

export interface OpeningOptions {
  readonly concurrency: number;
  /** Spread of the delays before each one begins. */
  readonly staggerMs: number;
}

/** Runs `open` for each item; one that fails is its own business and ends nothing. */
export async function openStaggered<T>(
  items: readonly T[],
  open: (item: T) => Promise<void>,
  options: OpeningOptions,
  ports: { readonly clock: Clock; readonly jitter: () => number },
): Promise<void> {
  const queue = [...items];
  const lane = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
      if (options.staggerMs > 0) await ports.clock.sleep(ports.jitter() * options.staggerMs);
      await open(item).catch(() => undefined);
    }
  };
  await Promise.all(Array.from({ length: Math.max(1, options.concurrency) }, lane));
}
