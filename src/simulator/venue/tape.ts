/** What the order side of the venue wants to know about instruments and prices, in its own exact numbers. */
import type { Nano } from './decimal.js';

export interface OptionTerms {
  readonly underlying: string;
  readonly right: 'call' | 'put';
  readonly strike: Nano;
  readonly expiration: string;
  readonly style: string;
}

export interface Instrument {
  readonly id: string;
  readonly symbol: string;
  readonly assetClass: 'us_equity' | 'us_option' | 'crypto';
  readonly exchange: string;
  readonly isActive: boolean;
  readonly isTradable: boolean;
  readonly isShortable: boolean;
  readonly isFractionable: boolean;
  readonly isMarginable: boolean;
  /** Units of the underlying in one contract: 100 for options, 1 otherwise. */
  readonly multiplier: bigint;
  readonly option: OptionTerms | undefined;
}

export interface Tape {
  /** By symbol, OCC symbol or id. */
  instrument(symbolOrId: string): Instrument | undefined;
  quote(symbol: string): { readonly bid: Nano; readonly ask: Nano } | undefined;
  last(symbol: string): Nano | undefined;
  onTick(listen: (symbols: readonly string[]) => void): () => void;
}
