/** How market data is shared with other instances: what a worker is given where `cluster.redis` is set, and only there. */
import type { HubShare, HubShareParts } from './hub-share.js';
import type { QuoteFollower, QuoteFollowerParts } from './quote-follower.js';

export interface SharedQuotes {
  /** Whether another instance holds the master account, or nobody does just now. */
  isElsewhere(): boolean;
  /** For the hub of this instance. */
  share(parts: Omit<HubShareParts, 'bus' | 'self'>): HubShare;
  /** For the one worker that follows the hub of another instance. */
  follow(parts: Omit<QuoteFollowerParts, 'bus' | 'self' | 'holder'>): QuoteFollower;
  /** The part of the master's budget that the hub here may use: one n-th of n members while they cannot hear each other. */
  budgetShare(): number;
  close(): void;
}
