/** The quote bus of several instances in one process: in order, at once, and as lossy as a test says. */
import type { BusSide, QuoteBus } from '../../src/workers/market-data/quote-bus.js';

export class MemoryBusServer {
  readonly #ears = new Map<object, Map<BusSide, (message: Uint8Array) => void>>();
  /** Messages sent so far, by side. */
  readonly sent: Record<BusSide, Uint8Array[]> = { hub: [], followers: [] };
  /** Taken and never delivered, while true. */
  isLossy = false;
  isDown = false;

  connect(): QuoteBus {
    const own = new Map<BusSide, (message: Uint8Array) => void>();
    this.#ears.set(own, own);
    return {
      send: (to, message) => {
        if (this.isDown) return false;
        this.say(to, message);
        return true;
      },
      listen: (at, hear) => {
        own.set(at, hear);
        return () => {
          if (own.get(at) === hear) own.delete(at);
        };
      },
      isUp: () => !this.isDown,
      close: () => {
        this.#ears.delete(own);
      },
    };
  }

  say(to: BusSide, message: Uint8Array): void {
    this.sent[to].push(message);
    if (this.isLossy) return;
    for (const ears of this.#ears.values()) {
      queueMicrotask(() => ears.get(to)?.(message));
    }
  }
}
