/** Each seed switches whole classes of faults on or off, so that rare mixtures are met (swarm testing). */
import { SeededRandom } from './seeded-random.js';

export interface SwarmOptions {
  readonly seed: number;
  readonly policy: 'reconcile_only' | 'resubmit_same_id';
  readonly onLate: 'keep' | 'cancel';
  readonly requestLoss: number;
  readonly responseLoss: number;
  readonly serverError: number;
  readonly throttle: number;
  readonly connectFailure: number;
  readonly refusal: number;
  readonly lateArrival: number;
  readonly lookupLagMs: number;
  readonly lookupFailure: number;
  readonly streamLoss: number;
  readonly streamDuplicate: number;
  readonly delayMs: number;
  readonly clog: number;
  readonly hang: number;
  readonly mixUp: number;
  readonly diskFault: number;
  readonly auditFault: number;
  /** Chance that a sync takes half a second. */
  readonly slowDisk: number;
  readonly crash: number;
  readonly move: boolean;
  /** The successor is another instance: it cannot read the former owner's disk, and that one may still run. */
  readonly foreignDisk: boolean;
  readonly wallStep: number;
  readonly callerCancels: number;
  /** Chance that a crash takes the machine's memory with it. */
  readonly memoryLoss: number;
}

export function swarmOptions(seed: number): SwarmOptions {
  const random = new SeededRandom(seed * 7919 + 17);
  const some = (most: number): number => (random.chance(0.5) ? random.between(0, most) : 0);
  const crash = some(0.8);
  return {
    seed,
    policy: random.chance(0.5) ? 'reconcile_only' : 'resubmit_same_id',
    onLate: random.chance(0.5) ? 'keep' : 'cancel',
    requestLoss: some(0.4),
    responseLoss: some(0.5),
    serverError: some(0.2),
    throttle: some(0.2),
    connectFailure: some(0.2),
    refusal: some(0.2),
    lateArrival: some(0.1),
    lookupLagMs: some(10_000),
    lookupFailure: some(0.4),
    streamLoss: some(0.9),
    streamDuplicate: some(0.5),
    delayMs: random.between(5, 100),
    clog: some(0.05),
    hang: some(0.05),
    mixUp: some(0.05),
    diskFault: some(0.1),
    auditFault: some(0.1),
    slowDisk: some(0.2),
    crash,
    move: random.chance(0.5),
    foreignDisk: crash > 0 && random.chance(0.25),
    wallStep: some(0.1),
    callerCancels: some(0.3),
    memoryLoss: some(0.5),
  };
}
