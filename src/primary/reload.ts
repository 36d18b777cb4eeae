/**
 * Puts a new configuration in force: validated before anything changes, keys rotated, told to every worker, accounts moved.
 * When any of that fails, the old one is put back. One reload at a time, and none while ownership changes for another reason.
 */
import type { AuditLog } from '../kernel/audit/audit-log.js';
import type { JwtVerifier } from '../kernel/auth/jwt-verifier.js';
import { diffConfig, type ConfigDiff } from '../kernel/config/diff-config.js';
import type { GatewayConfig, TlsConfig } from '../kernel/config/gateway-config.js';
import { GatewayError } from '../kernel/domain/errors.js';
import { MASTER_ACCOUNT_ID, type AccountId } from '../kernel/domain/identifiers.js';
import type { Clock } from '../kernel/runtime/clock.js';
import type { Meter } from '../kernel/runtime/meter.js';
import type { LeveledLog } from '../kernel/telemetry/bunyan-log.js';
import { redactText } from '../kernel/telemetry/redaction.js';
import type { AssignmentTable } from './assignment.js';
import { Grants } from './grants.js';
import { openNamespaces } from './id-namespaces.js';
import { rotateKeys } from './key-rotation.js';
import { movesBetween, partition } from './partition.js';
import { pinned } from './pinned-config.js';
import type { Supervisor } from './supervisor.js';
import type { WorkerProcess } from './worker-process.js';

export interface ReloadParts {
  readonly table: AssignmentTable;
  readonly verifier: JwtVerifier;
  readonly audit: AuditLog;
  readonly meter: Meter;
  readonly clock: Clock;
  readonly log: LeveledLog;
  /** Which accounts this instance holds; all where it is alone. */
  readonly isHere?: (accountId: AccountId) => boolean;
  /** Reads and validates the file again. */
  readonly loadConfig: () => Promise<GatewayConfig>;
}

interface Move {
  readonly supervisor: Supervisor;
  readonly former: Grants;
  readonly next: Grants;
  readonly diff: ConfigDiff;
  /** Accounts whose session cannot go on under its new keys. */
  readonly anew: readonly AccountId[];
}

const RELOAD_MS = 30_000;

export class Reloader {
  supervisor: Supervisor | undefined;
  onReloaded: () => void = () => undefined;
  operatorDoor: { reloadTls(tls: TlsConfig | undefined): void } | undefined;
  #waiting: Promise<ConfigDiff> | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly parts: ReloadParts,
    private grantsNow: Grants,
  ) {}

  get grants(): Grants {
    return this.grantsNow;
  }

  /**
   * All or nothing. One that is under way may have read the file before it was changed, so the next waits for it; all that
   * ask meanwhile share that next one. @throws GatewayError CONFIG_INVALID, SECRET_INVALID, AUDIT_BROKEN, JOURNAL_BROKEN
   */
  reload(subject: string): Promise<ConfigDiff> {
    if (this.#waiting !== undefined) return this.#waiting;
    const turn = this.#running.then(() => {
      this.#waiting = undefined;
      return this.#reload(subject);
    });
    this.#waiting = turn;
    this.#running = turn.catch(() => undefined);
    return turn;
  }

  /** Its owner lets go of the account and opens it again. @throws GatewayError when the new assignment cannot be written */
  async openAgain(accountId: AccountId): Promise<void> {
    const { supervisor } = this;
    await supervisor?.exclusively(async () => {
      const slot = this.parts.table.ownership().get(accountId);
      if (slot === undefined) return;
      await supervisor.release(new Map([[accountId, slot]]));
      await supervisor.grant(this.parts.table.move(new Map([[accountId, slot]])), this.grantsNow);
      supervisor.announceOwnership();
    });
  }

  async #reload(subject: string): Promise<ConfigDiff> {
    const { log, meter, audit, clock } = this.parts;
    const { supervisor } = this;
    if (supervisor === undefined) throw new GatewayError('REFUSED', {}, { message: 'the gateway is starting' });
    try {
      const file = await this.parts.loadConfig();
      const diff = diffConfig(this.grantsNow.config, file);
      const opened = await Grants.open(pinned(this.grantsNow.config, file));
      const ids = await openNamespaces(opened.config, clock.now());
      const next = opened.under(ids.namespaces);
      const certificatesReplaced = isOther(this.grantsNow, next);
      if (!audit.healthy())
        throw new GatewayError('AUDIT_BROKEN', {}, { message: 'the audit trail cannot be written' });
      await supervisor.exclusively(() => this.#putInForce(supervisor, next, diff));
      ids.remember();
      this.onReloaded();
      await this.#audit(subject, { result: 'applied', ...diff, certificatesReplaced });
      log.info({ ...diff, certificatesReplaced, subject }, 'configuration reloaded');
      meter.count('opitios_reloads_total', { result: 'applied' });
      return diff;
    } catch (cause) {
      log.error({ cause, subject }, 'configuration not reloaded: the old one stays');
      meter.count('opitios_reloads_total', { result: 'refused' });
      const reason = redactText(cause instanceof Error ? cause.message : String(cause));
      await this.#audit(subject, { result: 'refused', reason });
      throw cause;
    }
  }

  async #putInForce(supervisor: Supervisor, next: Grants, diff: ConfigDiff): Promise<void> {
    const before = this.grantsNow;
    const workers = [...holding(supervisor).values()];
    try {
      // Most likely to be refused, and by somebody else: before anything of the file is in force.
      const anew = await this.#rotate(supervisor, next, diff);
      await this.#tell(next, workers);
      await this.#moveAccounts({ supervisor, former: before, next, diff, anew });
    } catch (cause) {
      await this.#putBack(supervisor, before, diff, workers).catch((again: unknown) => {
        this.parts.log.error({ cause: again }, 'the old configuration could not be put back everywhere');
      });
      throw cause;
    }
  }

  async #putBack(
    supervisor: Supervisor,
    before: Grants,
    diff: ConfigDiff,
    workers: readonly WorkerProcess[],
  ): Promise<void> {
    if (this.grantsNow !== before) await this.#tell(before, workers);
    const anew = await this.#rotate(supervisor, before, diff);
    const nothing = { ...diff, changed: [], accountsAdded: [], accountsRemoved: [], accountsRotated: [] };
    await this.#moveAccounts({ supervisor, former: before, next: before, diff: nothing, anew });
  }

  /** @returns accounts that must be granted anew; the master is: its sockets go by its keys */
  #rotate(supervisor: Supervisor, grants: Grants, diff: ConfigDiff): Promise<readonly AccountId[]> {
    const rotated = (diff.accountsRotated as readonly AccountId[]).filter((one) => one !== MASTER_ACCOUNT_ID);
    return rotateKeys(rotated, grants, { table: this.parts.table.table(), workers: holding(supervisor) });
  }

  async #tell(grants: Grants, workers: readonly WorkerProcess[]): Promise<void> {
    this.grantsNow = grants;
    await this.parts.verifier.reconfigure(grants.operatorPolicy);
    this.operatorDoor?.reloadTls(grants.operatorTls);
    this.parts.log.setLevel(grants.config.log.level);
    const answers = await Promise.allSettled(
      workers.map((one) => one.ask({ kind: 'reload', config: grants.workerConfig, grants: [] }, RELOAD_MS)),
    );
    const failures = answers.flatMap((answer) => {
      // A worker that died meanwhile starts with the newest configuration.
      if (answer.status === 'rejected') return isGone(answer.reason) ? [] : [String(answer.reason)];
      return answer.value.kind === 'reloaded' && answer.value.error !== undefined ? [answer.value.error] : [];
    });
    if (failures.length > 0) throw new GatewayError('CONFIG_INVALID', { failures }, { message: failures.join('; ') });
  }

  /** What moves is let go of first, and has a new owner or new keys only then. */
  async #moveAccounts({ supervisor, former, next, diff, anew }: Move): Promise<void> {
    const { table } = this.parts;
    const removed = diff.accountsRemoved as readonly AccountId[];
    const before = table.ownership();
    const here = next.accountIds().filter((accountId) => this.parts.isHere?.(accountId) ?? true);
    const after = partition(here, [...supervisor.active().keys()], before);
    const moves = new Map(movesBetween(before, after));
    for (const accountId of [...anew, ...regrantedHub(next, diff)]) {
      const slot = after.get(accountId);
      if (slot !== undefined) moves.set(accountId, slot);
    }
    if (moves.size + removed.length === 0) return;
    const leaving = new Map(
      [...moves.keys(), ...removed].flatMap((accountId) => {
        const slot = before.get(accountId);
        return slot === undefined ? [] : [[accountId, slot] as const];
      }),
    );
    const old = this.parts.table.table().assignments.filter(({ accountId }) => leaving.has(accountId));
    await supervisor.release(leaving);
    try {
      const assignments = table.move(moves, removed);
      await supervisor.grant(assignments, next);
    } catch (cause) {
      // Not written, so nothing has moved: the owners go on as before.
      await supervisor.grant(old, former);
      throw cause;
    }
    supervisor.announceOwnership();
  }

  /** The act is done or refused by now: a trail that fails here is said aloud and changes nothing. */
  async #audit(subject: string, facts: Readonly<Record<string, unknown>>): Promise<void> {
    await this.parts.audit
      .append({ kind: 'config-change', subject, facts: { action: 'reload', ...facts } })
      .catch((cause: unknown) => this.parts.log.error({ cause }, 'reload not audited'));
  }
}

/** The master, when its keys are new or those of its stand-ins, which travel with it. */
function regrantedHub(next: Grants, diff: ConfigDiff): readonly AccountId[] {
  const keys: readonly string[] = [MASTER_ACCOUNT_ID, ...next.config.marketData.fallbackAccounts];
  const isConcerned =
    diff.changed.some((path) => path.startsWith('marketData.fallbackAccounts')) ||
    diff.accountsRotated.some((accountId) => keys.includes(accountId));
  return isConcerned ? [MASTER_ACCOUNT_ID] : [];
}

/** A worker that has its start message hears the reload as soon as it is built; one that has not starts with the new. */
function holding(supervisor: Supervisor): ReadonlyMap<number, WorkerProcess> {
  return new Map([...supervisor.active()].filter(([, { phase }]) => phase === 'ready' || phase === 'starting'));
}

function isOther(former: Grants, next: Grants): boolean {
  const pemOf = (grants: Grants): string =>
    JSON.stringify([grants.workerConfig.server.tls?.pem, grants.operatorTls?.pem]);
  return pemOf(former) !== pemOf(next);
}

function isGone(cause: unknown): boolean {
  return cause instanceof GatewayError && cause.code === 'PEER_GONE';
}
