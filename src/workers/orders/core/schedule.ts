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
const DAY_MS = 86_400_000;
/** The date in New York changes four or five hours after the one in UTC. */
const BEHIND_UTC_MS = 5 * 3_600_000;
const SESSIONS_END_MS = 20 * 3_600_000;

/**
 * How long an order of that wall time is watched and reserved once it has been given up: until the extended hours of
 * the second weekday after it are over. The next trading day has ended then, also where a holiday lies between.
 */
export function watchForMs(recordedAt: number): number {
  let day = Math.floor((recordedAt - BEHIND_UTC_MS) / DAY_MS);
  for (let weekdays = 0; weekdays < 2;) {
    day += 1;
    const weekday = new Date(day * DAY_MS).getUTCDay();
    if (weekday !== 0 && weekday !== 6) weekdays += 1;
  }
  return day * DAY_MS + SESSIONS_END_MS + BEHIND_UTC_MS - recordedAt;
}

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
