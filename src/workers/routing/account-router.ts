/** One interface, two ways: the account is mine, or its owner is asked over the mesh. The edges cannot tell which. */
import type { AccountAnswer, AccountRequest, CallContext, SessionReport } from '../../kernel/domain/account-request.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';

export interface RoutedAnswer {
  readonly answer: AccountAnswer;
  /** Time on the mesh without the owner's own work; 0 when the account is mine. For Server-Timing. */
  readonly meshMs: number;
  readonly queueMs: number;
}

export interface AccountRouter {
  /** Configured accounts, in configuration order; the master is not among them. */
  accountIds(): readonly AccountId[];
  exists(accountId: AccountId): boolean;
  /** Waits up to a short deadline while an owner is being replaced. Never rejects for an expected reason. */
  execute(request: AccountRequest, context: CallContext, signal?: AbortSignal): Promise<RoutedAnswer>;
  /** What the broker will know the order of this request by, whoever places it; undefined where it places none. */
  orderIdOf(request: AccountRequest, subject: string): string | undefined;
  /** State of any account, wherever it lives, from the last report of its owner. */
  report(accountId: AccountId): SessionReport | undefined;
}
