/**
 * Order events as the stream edge sees them: those of every account of this instance, whoever owns it. Live events
 * arrive in `seq` order per account and epoch; a hole is repaired by `resume`, never skipped in silence.
 */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { EventPosition, OrderEvent, ResumedEvents } from '../../kernel/domain/order-event.js';
import type { SessionState } from '../../kernel/domain/account-request.js';

export interface OrderEventsDoor {
  onEvent(listen: (event: OrderEvent) => void): () => void;
  onState(listen: (accountId: AccountId, state: SessionState) => void): () => void;
  /** The last event's place; seq 0 when the epoch has none yet. Asks the owner over the mesh when it is another worker. */
  position(accountId: AccountId, options: { readonly deadlineMs: number }): Promise<EventPosition>;
  /** @throws GatewayError DEADLINE_EXCEEDED, PEER_GONE: the client is told to try again, nothing is assumed. */
  resume(accountId: AccountId, after: EventPosition, options: { readonly deadlineMs: number }): Promise<ResumedEvents>;
}
