/** What an edge may ask of the instance as a whole: answered by the primary, or put together from all workers. */
import type { AdminRequest } from '../../kernel/ipc/control.js';
import type { AccountAnswer } from '../../kernel/domain/account-request.js';

export interface Readiness {
  readonly ready: boolean;
  /** Why not, in words an operator can act on; empty when ready. */
  readonly reasons: readonly string[];
}

export interface AdminDoor {
  /** Never rejects for an expected reason. */
  execute(request: AdminRequest): Promise<AccountAnswer>;
  readiness(): Readiness;
}
