/**
 * When an unknown outcome is looked up, resent or given up (docs/order-protocol.md R4, R10, R11). Pure: ages in,
 * decisions out.
 */

/** Milliseconds after the outcome became unknown; then every ten seconds with jitter. No step is much over a third of
 *  the wait so far: an order that is shown late is found little later. */
export const LOOKUPS_AT_MS: readonly number[] = [
  0, 100, 250, 500, 750, 1_000, 1_500, 2_000, 3_000, 4_000, 6_000, 8_000, 11_000,
];
const LOOKUP_EVERY_MS = 10_000;
const JITTER = 0.2;
/** An abandoned intent is still looked for, seldom. */
const WATCH_EVERY_MS = 300_000;
/** End of the trading day and one more: nothing that old appears at the broker. */
export const WATCH_FOR_MS = 2 * 86_400_000;

/** How long to wait before lookup number `lookup` (0, 1, 2 …). `random` is in [0, 1). */
export function lookupDelayMs(lookup: number, abandoned: boolean, random: number): number {
  if (abandoned) return WATCH_EVERY_MS * (1 + JITTER * random);
  const at = LOOKUPS_AT_MS[lookup];
  if (at !== undefined) return at - (LOOKUPS_AT_MS[lookup - 1] ?? 0);
  return LOOKUP_EVERY_MS * (1 + JITTER * random);
}

/** At most two attempts, the same id, and only while the intent is young: a market order of a minute ago is another order. */
export const ATTEMPTS_MAX = 2;
/** The first attempt may still be on its way when a lookup misses: not on the first miss. */
const MISSES_BEFORE_RESEND = 3;

export function mayResend(facts: {
  readonly policy: 'reconcile_only' | 'resubmit_same_id';
  readonly attempts: number;
  readonly misses: number;
  readonly throttled: boolean;
  readonly ageMs: number;
  readonly maxAgeMs: number;
}): boolean {
  if (facts.policy !== 'resubmit_same_id' || facts.attempts >= ATTEMPTS_MAX) return false;
  if (facts.ageMs >= facts.maxAgeMs) return false;
  return facts.throttled || facts.misses >= MISSES_BEFORE_RESEND;
}

const SHORT_LIVED: ReadonlySet<unknown> = new Set(['ioc', 'fok', 'opg', 'cls']);

/** R4: two seconds for what executes at once, ten for what rests. */
export function maxAgeMsOf(order: Readonly<Record<string, unknown>>): number {
  return order['type'] === 'market' || SHORT_LIVED.has(order['time_in_force']) ? 2_000 : 10_000;
}

export function mayGiveUp(facts: {
  /** Monotonic, in this process. */
  readonly heldMs: number;
  readonly quarantineAfterMs: number;
  readonly sweptClean: boolean;
}): boolean {
  return facts.heldMs >= facts.quarantineAfterMs && facts.sweptClean;
}
