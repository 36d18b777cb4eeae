/**
 * Which values of the shared table a stream keeps current, as the hub last said. A hub that has not spoken for a while
 * keeps nothing current: then what was live counts as a gap and is answered with `stale` and its age.
 */
import type { RecordKind } from '../../kernel/shared-memory/quote-table.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { HubState, LiveSymbols } from './hub-protocol.js';
import type { FeedChannel } from './market-data-feed.js';

/** Three beats of the hub. */
const SILENCE_MS = 3_500;

const CHANNEL_OF: Readonly<Partial<Record<RecordKind, FeedChannel>>> = {
  quote: 'quotes',
  trade: 'trades',
  option_quote: 'option_quotes',
  option_trade: 'option_trades',
};

export class LiveSymbolsView {
  #live = new Map<string, ReadonlySet<string>>();
  #gap = new Map<string, ReadonlySet<string>>();
  #heardAt = -Infinity;
  #version = -1;
  #hubId = '';

  constructor(private readonly clock: Clock) {}

  /** Returns whether this is a hub that we have not met. */
  apply(state: HubState): boolean {
    const isNew = state.hubId !== this.#hubId;
    if (isNew) {
      this.#hubId = state.hubId;
      this.#version = -1;
    }
    if (state.live !== undefined) {
      this.#version = state.version;
      this.#live = setsOf(state.live);
      this.#gap = setsOf(state.gap ?? {});
    }
    // A beat of a version that never arrived proves nothing about the one that we hold: it grows old until the whole comes.
    if (state.version === this.#version) this.#heardAt = this.clock.monotonicMs();
    return isNew;
  }

  /** The hub's worker is gone. */
  silence(): void {
    this.#heardAt = -Infinity;
  }

  /** `aging`: no stream keeps it; its age alone says what it is worth. */
  stateOf(kind: RecordKind, symbol: string): 'live' | 'gap' | 'aging' {
    const channel = CHANNEL_OF[kind];
    if (channel === undefined) return 'aging';
    if (this.#live.get(channel)?.has(symbol) === true) {
      return this.clock.monotonicMs() - this.#heardAt <= SILENCE_MS ? 'live' : 'gap';
    }
    return this.#gap.get(channel)?.has(symbol) === true ? 'gap' : 'aging';
  }
}

function setsOf(symbols: LiveSymbols): Map<string, ReadonlySet<string>> {
  return new Map(Object.entries(symbols).map(([channel, list]) => [channel, new Set(list)]));
}
