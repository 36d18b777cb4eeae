/** Puts the sharing of market data together. Loaded only where `cluster.redis` is set. */
import { HubShare } from './hub-share.js';
import type { QuoteBus } from './quote-bus.js';
import { QuoteFollower } from './quote-follower.js';
import type { SharedQuotes } from './shared-quotes.js';

export interface MasterPlace {
  /** This instance's name. */
  readonly self: string;
  /** The instance that holds the master account; undefined while nobody does. */
  readonly holder: () => string | undefined;
  /** Instances that there are, this one included. */
  readonly members: () => number;
}

export function shareQuotes(bus: QuoteBus, { self, holder, members }: MasterPlace): SharedQuotes {
  return {
    isElsewhere: () => holder() !== self,
    share: (parts) => new HubShare({ ...parts, bus, self }),
    follow: (parts) => new QuoteFollower({ ...parts, bus, self, holder }),
    budgetShare: () => (bus.isUp() ? 1 : 1 / Math.max(1, members())),
    close: () => {
      bus.close();
    },
  };
}
