/**
 * The critical conditions that somebody is told about without Alertmanager. Pure: what is known of the instance in, what
 * is wrong with it out. How long a finding must hold before it is told is part of the condition.
 */
import type { SessionReport } from '../../kernel/domain/account-request.js';

export interface Condition {
  /** A finding younger than this may pass by itself. */
  readonly holdMs: number;
  readonly summary: string;
  /** Heading in docs/operations.md. */
  readonly runbook: string;
}

export const CONDITIONS = {
  'account-failed': { holdMs: 5_000, summary: 'The broker refuses accounts', runbook: 'opitiosaccountsfailed' },
  'order-unknown': { holdMs: 0, summary: 'Orders whose outcome nobody knows', runbook: 'opitiosordersunknown' },
  'audit-refused': {
    holdMs: 2_000,
    summary: 'An audit log takes no records: orders are refused',
    runbook: 'opitiosauditbroken',
  },
  'worker-crash-loop': { holdMs: 0, summary: 'Workers die one after the other', runbook: 'opitiosworkersdying' },
  'upstream-down': { holdMs: 15_000, summary: 'The broker cannot be reached', runbook: 'opitiosbrokerfailing' },
  'lease-lost': {
    holdMs: 0,
    summary: 'Accounts were lost to another instance, or Redis is away',
    runbook: 'lease-lost',
  },
  'clock-drift': { holdMs: 60_000, summary: "This machine's clock differs from the broker's", runbook: 'clock-drift' },
} as const satisfies Readonly<Record<string, Condition>>;

export type ConditionName = keyof typeof CONDITIONS;

export interface Finding {
  readonly condition: ConditionName;
  /** What it is about within the condition: an account, a stream. The same one is told once. */
  readonly subject: string;
  readonly detail: string;
}

export interface InstanceView {
  readonly accounts: readonly SessionReport[];
  /** Undefined where no process has said yet. */
  readonly auditHealthy: boolean | undefined;
  readonly isLosingWorkers: boolean;
  /** Why leases between instances are not what they should be. */
  readonly leaseTroubles: readonly string[];
  /** Upstream data sockets by side, true while authenticated. */
  readonly dataStreams: Readonly<Record<string, boolean>>;
}

/** An order is looked up densely for some seconds; past this a person should look. */
const UNKNOWN_AGE_MS = 60_000;
/** The broker tells whole seconds, and tokens are taken with five seconds of difference. */
const DRIFT_MS = 2_000;
/** Fewer degraded accounts are these accounts, not the broker. */
const DOWN_SHARE = 0.5;

export function findingsOf(view: InstanceView): readonly Finding[] {
  const findings: Finding[] = [];
  const add = (condition: ConditionName, subject: string, detail: string): void => {
    findings.push({ condition, subject, detail });
  };
  for (const { accountId, state, lastError, oldestUnknownMs } of view.accounts) {
    if (state === 'failed') add('account-failed', accountId, lastError?.detail ?? 'refused');
    if (oldestUnknownMs !== undefined && oldestUnknownMs > UNKNOWN_AGE_MS)
      add('order-unknown', accountId, `for ${Math.round(oldestUnknownMs / 1_000)} s`);
  }
  if (view.auditHealthy === false) add('audit-refused', 'audit', 'look at the disk of data_dir');
  if (view.isLosingWorkers) add('worker-crash-loop', 'workers', 'see the log line `worker ended`');
  for (const why of view.leaseTroubles) add('lease-lost', 'leases', why);
  const degraded = view.accounts.filter(({ state }) => state === 'degraded').length;
  if (degraded > 0 && degraded >= view.accounts.length * DOWN_SHARE)
    add('upstream-down', 'trading', `${degraded} of ${view.accounts.length} accounts are degraded`);
  for (const [side, isUp] of Object.entries(view.dataStreams))
    if (!isUp) add('upstream-down', `market data (${side})`, 'the data stream is down');
  const offsetMs = clockOffsetOf(view.accounts);
  if (offsetMs !== undefined && Math.abs(offsetMs) > DRIFT_MS)
    add('clock-drift', 'clock', `${(Math.abs(offsetMs) / 1_000).toFixed(1)} s ${offsetMs > 0 ? 'behind' : 'ahead'}`);
  return findings;
}

/** The median over the accounts: one slow answer is no drift. */
export function clockOffsetOf(accounts: readonly SessionReport[]): number | undefined {
  const offsets = accounts.flatMap(({ clockOffsetMs }) => (clockOffsetMs === undefined ? [] : [clockOffsetMs]));
  return offsets.sort((a, b) => a - b)[Math.floor(offsets.length / 2)];
}
