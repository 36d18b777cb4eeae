/**
 * Epochs that never go back, even when Redis has lost its memory: the high part is wall seconds (at least as high as
 * any that this instance ever used or saw), the low part counts in Redis. Both fit one safe integer.
 */
import { GatewayError } from '../../kernel/domain/errors.js';

const LOW_RANGE = 2 ** 20;
/** Room between two leases of a slot: the moves between the holder's own workers are counted in it. */
export const EPOCHS_A_LEASE = 1024;

export function composeEpoch(highSeconds: number, low: number): number {
  return highSeconds * LOW_RANGE + (low % LOW_RANGE);
}

export function highPartOf(epoch: number): number {
  return Math.floor(epoch / LOW_RANGE);
}

/**
 * The high part for a new lease.
 * @throws GatewayError ASSERTION_FAILED when the wall clock stands more than `toleranceS` behind an epoch already used:
 * an operator must look, for nobody can tell a clock stepped back from one that ran ahead.
 */
export function nextHighPart(wallMs: number, highestUsed: number, toleranceS = 300): number {
  const now = Math.floor(wallMs / 1000);
  const behind = highPartOf(highestUsed) - now;
  if (behind > toleranceS) {
    throw new GatewayError(
      'ASSERTION_FAILED',
      { behindS: behind },
      { message: 'the wall clock is behind epochs already used' },
    );
  }
  return Math.max(now, highPartOf(highestUsed));
}
