/** One change of one order of one account, numbered so that a client can prove it missed nothing. */
import type { AccountId } from './identifiers.js';

export interface OrderEvent {
  readonly accountId: AccountId;
  /** Rises with every change of owner. */
  readonly epoch: number;
  /** 1, 2, 3 … without holes within an epoch. */
  readonly seq: number;
  /** Alpaca's word: `new`, `fill`, `partial_fill`, `canceled` … Unknown words pass. */
  readonly event: string;
  readonly timestamp: string;
  /** The broker's `data` object of the trade update as raw JSON text, kept byte for byte. */
  readonly data: string;
  /** Synthesised by gap repair rather than heard on the stream. */
  readonly reconciled: boolean;
}

export interface EventPosition {
  readonly epoch: number;
  readonly seq: number;
}

export interface ResumedEvents {
  /** In order, all after the position asked for. */
  readonly events: readonly OrderEvent[];
  /** What could not be found any more, to be said aloud to the client; `from` and `to` are included. */
  readonly gaps: readonly { readonly epoch: number; readonly from: number; readonly to: number }[];
}
