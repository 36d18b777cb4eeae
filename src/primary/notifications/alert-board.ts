/**
 * Which findings are alerts: those that hold for as long as their condition says. Each is told when it begins and when it
 * ends, and not in between, however often it is found. Keeps the last ones for the status page.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import { CONDITIONS, type ConditionName, type Finding } from './conditions.js';

/** Alerts of one condition that began or ended together: a thousand accounts are one message. */
export interface AlertChange {
  readonly event: 'firing' | 'resolved';
  readonly condition: ConditionName;
  readonly alerts: readonly Alert[];
}

export interface Alert {
  readonly condition: ConditionName;
  readonly subject: string;
  readonly detail: string;
  /** Wall milliseconds. */
  readonly since: number;
  readonly resolvedAt?: number;
}

interface Tracked {
  finding: Finding;
  readonly firstSeen: number;
  readonly since: number;
  lastSeen: number;
  isFiring: boolean;
}

/** Gone for this long is over: what flutters is one alert. */
const CLEAR_MS = 5_000;
const RECENT_MAX = 50;

export class AlertBoard {
  readonly #tracked = new Map<string, Tracked>();
  #recent: readonly Alert[] = [];

  constructor(private readonly clock: Clock) {}

  /** What changed with these findings, which are all there are now. */
  update(findings: readonly Finding[]): readonly AlertChange[] {
    const now = this.clock.monotonicMs();
    for (const finding of findings) this.#see(finding, now);
    const began = [...this.#tracked.values()].filter((one) => this.#begins(one, now));
    for (const one of began) one.isFiring = true;
    const ended = this.#sweep(now);
    return [...grouped('firing', began.map(alertOf)), ...grouped('resolved', ended)];
  }

  firing(): readonly Alert[] {
    return [...this.#tracked.values()].filter(({ isFiring }) => isFiring).map(alertOf);
  }

  /** Resolved ones, the latest first. */
  recent(): readonly Alert[] {
    return this.#recent;
  }

  #see(finding: Finding, now: number): void {
    const key = `${finding.condition} ${finding.subject}`;
    const known = this.#tracked.get(key);
    if (known === undefined) {
      const since = this.clock.now();
      this.#tracked.set(key, { finding, firstSeen: now, since, lastSeen: now, isFiring: false });
      return;
    }
    known.finding = finding;
    known.lastSeen = now;
  }

  #begins({ isFiring, finding, firstSeen, lastSeen }: Tracked, now: number): boolean {
    return !isFiring && lastSeen === now && now - firstSeen >= CONDITIONS[finding.condition].holdMs;
  }

  #sweep(now: number): readonly Alert[] {
    const ended: Alert[] = [];
    for (const [key, one] of this.#tracked) {
      const isGone = one.isFiring ? now - one.lastSeen >= CLEAR_MS : one.lastSeen < now;
      if (!isGone) continue;
      this.#tracked.delete(key);
      if (one.isFiring) ended.push({ ...alertOf(one), resolvedAt: this.clock.now() });
    }
    this.#recent = [...ended.toReversed(), ...this.#recent].slice(0, RECENT_MAX);
    return ended;
  }
}

function alertOf({ finding, since }: Tracked): Alert {
  return { ...finding, since };
}

function grouped(event: AlertChange['event'], alerts: readonly Alert[]): readonly AlertChange[] {
  const byCondition = new Map<ConditionName, Alert[]>();
  for (const alert of alerts) byCondition.set(alert.condition, [...(byCondition.get(alert.condition) ?? []), alert]);
  return [...byCondition].map(([condition, own]) => ({ event, condition, alerts: own }));
}
