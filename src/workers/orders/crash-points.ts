/**
 * The named points of an order's way at which a process can be made to die, for tests with real processes. The order
 * path announces each point (docs/order-protocol.md#crash-points); what happens there is injected, and in production
 * nothing does.
 */
import type { Clock } from '../../kernel/runtime/clock.js';

/**
 * K0 before the INTENT is written · K1 written, not yet durable · K2 durable, before the first byte · K3 bytes leaving,
 * no answer · K4 answer read, OUTCOME not durable · K5 OUTCOME durable, caller not answered · K6 caller answered.
 */
export const CRASH_POINTS = ['K0', 'K1', 'K2', 'K3', 'K4', 'K5', 'K6'] as const;
export type CrashPoint = (typeof CRASH_POINTS)[number];

export interface CrashPoints {
  reach(point: CrashPoint): void;
}

export const noCrash: CrashPoints = { reach: () => undefined };

/** K3 and K6 are states that are reached a moment after the call that leads to them. */
const AFTER_MS: Partial<Record<CrashPoint, number>> = { K3: 2, K6: 20 };

/**
 * Reads `K3:7`: die when K3 is reached for the seventh time. Anything else is no crash at all. The composition root
 * passes the text only when NODE_ENV is `test`.
 */
export function crashPointsFrom(text: string | undefined, clock: Clock, die: () => void): CrashPoints {
  const match = /^(K[0-6])(?::(\d{1,6}))?$/.exec(text ?? '');
  const point = CRASH_POINTS.find((name) => name === match?.[1]);
  if (point === undefined) return noCrash;
  let left = Number(match?.[2] ?? '1');
  return {
    reach: (reached) => {
      if (reached !== point) return;
      left -= 1;
      if (left !== 0) return;
      const afterMs = AFTER_MS[point];
      if (afterMs === undefined) die();
      else clock.after(afterMs, die);
    },
  };
}
