/**
 * The state of every account, wherever it lives, from the last words of its owner. Owners tell all peers whenever a state
 * changes, and once a second what else has changed. What an owner said ends when the owner changes.
 */
import type { SessionReport, SessionState } from '../../kernel/domain/account-request.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { Mesh } from '../../kernel/ipc/mesh.js';

type StateListener = (accountId: AccountId, state: SessionState) => void;

export class SessionReports {
  readonly #reports = new Map<AccountId, SessionReport>();
  readonly #listeners = new Set<StateListener>();
  readonly #told = new Map<AccountId, string>();

  constructor(private readonly mesh: Mesh) {
    // A peer that has just come knows nothing yet.
    mesh.onPeer(() => this.#told.clear());
    mesh.onNotify('status', (message) => this.#hear(message.header as readonly SessionReport[]));
  }

  of(accountId: AccountId): SessionReport | undefined {
    return this.#reports.get(accountId);
  }

  /** What this worker knows of its own accounts; its peers are told. */
  publish(reports: readonly SessionReport[]): void {
    if (reports.length === 0) return;
    this.#hear(reports);
    this.mesh.broadcast('status', { header: reports });
  }

  /** Only those that say something new besides their age. */
  publishChanged(reports: readonly SessionReport[]): void {
    this.publish(
      reports.filter((report) => {
        const now = withoutAges(report);
        if (this.#told.get(report.accountId) === now) return false;
        this.#told.set(report.accountId, now);
        return true;
      }),
    );
  }

  /** Accounts that are not configured any more. */
  keepOnly(configured: ReadonlySet<AccountId>): void {
    for (const known of [this.#reports, this.#told]) {
      for (const accountId of known.keys()) if (!configured.has(accountId)) known.delete(accountId);
    }
  }

  onState(listen: StateListener): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  #hear(reports: readonly SessionReport[]): void {
    for (const report of reports) {
      const before = this.#reports.get(report.accountId)?.state;
      this.#reports.set(report.accountId, report);
      if (before !== report.state) for (const listen of this.#listeners) listen(report.accountId, report.state);
    }
  }
}

function withoutAges({ state, tradingState, openUnknown, streamConnected, lastError, budget }: SessionReport): string {
  return `${state}/${tradingState}/${openUnknown}/${streamConnected}/${lastError?.code ?? ''}/${budget?.remaining ?? ''}`;
}
