/**
 * The accounts that this worker owns, and what is asked of them: reads go to the session, everything that changes
 * something goes to the desk. A read by client order id asks the desk first: it knows intents that the broker may not
 * show yet (docs/order-protocol.md#what-each-answer-means).
 */
import type {
  AccountAnswer,
  AccountRequest,
  CallContext,
  SessionReport,
  SessionState,
} from '../../kernel/domain/account-request.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { AccountSession } from '../accounts/account-session.js';
import type { OrderDesk } from '../orders/order-desk.js';

type ReadRequest = Extract<AccountRequest, { readonly kind: 'read' }>;

export class LocalAccounts {
  readonly #sessions = new Map<AccountId, AccountSession>();
  readonly #running = new Map<AccountSession, Set<Promise<unknown>>>();

  constructor(
    private readonly desk: OrderDesk,
    private readonly onChange: () => void,
  ) {}

  /** From now on the account is answered here. The desk has adopted it, or is about to refuse its orders by itself. */
  admit(session: AccountSession): void {
    this.#sessions.set(session.accountId, session);
    this.onChange();
  }

  /** From now on callers are sent to the next owner, or wait for it. */
  dismiss(accountId: AccountId): AccountSession | undefined {
    const session = this.#sessions.get(accountId);
    this.#sessions.delete(accountId);
    return session;
  }

  has(accountId: AccountId): boolean {
    return this.#sessions.has(accountId);
  }

  accountIds(): readonly AccountId[] {
    return [...this.#sessions.keys()];
  }

  /** Undefined when the account is not owned here (any more). Never rejects for an expected reason. */
  execute(request: AccountRequest, context: CallContext): Promise<AccountAnswer> | undefined {
    const session = this.#sessions.get(request.accountId);
    if (session === undefined) return undefined;
    const answer = this.#run(session, request, context);
    this.#note(session, answer);
    return answer;
  }

  /** Resolves when nothing runs on a dismissed session any more. */
  async quiet(session: AccountSession): Promise<void> {
    await Promise.allSettled([...(this.#running.get(session) ?? [])]);
  }

  #run(session: AccountSession, request: AccountRequest, context: CallContext): Promise<AccountAnswer> {
    switch (request.kind) {
      case 'read':
        return this.#read(session, request, context);
      case 'describe':
        return Promise.resolve(jsonAnswer(this.#reportOf(session)));
      default:
        return this.desk.execute(request, context);
    }
  }

  #note(session: AccountSession, answer: Promise<unknown>): void {
    const running = this.#running.get(session) ?? new Set();
    this.#running.set(session, running);
    running.add(answer);
    const done = (): void => {
      running.delete(answer);
      if (running.size === 0) this.#running.delete(session);
    };
    answer.then(done, done);
  }

  states(): readonly SessionState[] {
    return [...this.#sessions.values()].map((session) => session.state());
  }

  reports(): readonly SessionReport[] {
    return [...this.#sessions.values()].map((session) => this.#reportOf(session));
  }

  async #read(session: AccountSession, request: ReadRequest, context: CallContext): Promise<AccountAnswer> {
    const { read, freshness, accountId } = request;
    if (read.resource === 'order-by-client-order-id') {
      const held = this.desk.lookup(accountId, read.clientOrderId);
      if (held !== undefined) return held;
    }
    return session.read(read, freshness, {
      deadlineMs: context.budgetMs,
      ...(context.traceparent !== undefined && { traceparent: context.traceparent }),
    });
  }

  #reportOf(session: AccountSession): SessionReport {
    const { accountId } = session;
    const oldestUnknownMs = this.desk.oldestUnknownMs(accountId);
    return {
      ...session.report(),
      tradingState: this.desk.tradingState(accountId),
      openUnknown: this.desk.openUnknown(accountId),
      ...(oldestUnknownMs !== undefined && { oldestUnknownMs }),
    };
  }
}

export function jsonAnswer(value: unknown, status = 200): AccountAnswer {
  const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
  return { kind: 'answer', status, headers, body: Buffer.from(JSON.stringify(value)) };
}
