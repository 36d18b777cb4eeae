/** The order desk as the router sees it: one intent of one account in, one truthful answer out. */
import type {
  AccountAnswer,
  AccountRequest,
  CallContext,
  SharedTradingState,
  TradingState,
} from '../../kernel/domain/account-request.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { EventPosition, OrderEvent, ResumedEvents } from '../../kernel/domain/order-event.js';
import type { AccountSession } from '../accounts/account-session.js';

/** The requests that change something at the broker or in the account's trading state, and those about intents. */
export type DeskRequest = Exclude<AccountRequest, { readonly kind: 'read' | 'describe' }>;

export interface OrderDesk {
  /**
   * Recovers the account's open intents, then admits orders (docs/order-protocol.md#recovery).
   * @param shared the newest trading state that any instance knows of: in force before the first order
   */
  adopt(session: AccountSession, shared?: SharedTradingState): Promise<void>;
  /** Finishes what is in flight, then lets go of the account's journal. */
  release(accountId: AccountId, options: { readonly deadlineMs: number }): Promise<void>;
  /** Never rejects for an expected reason: refusals are problems. */
  execute(request: DeskRequest, context: CallContext): Promise<AccountAnswer>;
  /** Answers a lookup for an intent that the desk holds and the broker may not show yet; undefined if it holds none. */
  lookup(accountId: AccountId, clientOrderId: string): AccountAnswer | undefined;
  tradingState(accountId: AccountId): TradingState;
  openUnknown(accountId: AccountId): number;
  /** Age of the oldest of them; undefined without one. */
  oldestUnknownMs(accountId: AccountId): number | undefined;
  /** Every numbered event of the accounts adopted here, after it is durable. */
  onOrderEvent(listen: (event: OrderEvent) => void): () => void;
  /** Place of the account's last event; seq 0 when its epoch has none yet. */
  position(accountId: AccountId): EventPosition;
  /** From the ring that survives a worker's death. @throws GatewayError JOURNAL_BROKEN: the account is closed then */
  eventsAfter(accountId: AccountId, after: EventPosition): ResumedEvents;
}
