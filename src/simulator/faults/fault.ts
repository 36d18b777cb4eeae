/**
 * The fault switches. A switch is a fault and a selector: which account, method and path, for the next N matching
 * requests or with a seeded chance. Switches are set by `control.switchOn(...)` (door: POST /switches) and stay until
 * their count is used up or they are switched off. A script is an array of switches.
 */

/** Ways to lose an answer after the venue has done the work (or before, see `when`). */
export type LostAnswer =
  /** TCP reset. */
  | 'reset'
  /** Connection closed without a byte. */
  | 'fin'
  /** Nothing is ever sent; the connection stays open. */
  | 'hang'
  /** Half a header block, then closed. */
  | 'partial-headers'
  /** Right headers, half of the body, then closed. */
  | 'partial-body'
  /** Bytes that are not HTTP, then closed. */
  | 'garbage'
  /** An HTML page of the edge. */
  | '502'
  | '503'
  | '504'
  /** Status 200 with a body that is not JSON. */
  | 'not-json';

/** The eight variants of an order that was accepted and whose answer is lost. */
export const LOST_AFTER_ACCEPT: readonly LostAnswer[] = [
  'reset',
  'fin',
  'hang',
  'partial-headers',
  'partial-body',
  'garbage',
  '502',
  '504',
];

export type RequestFault =
  /** Waits. `before`: the venue works late. `after` (default): the answer, and only the answer, is late. */
  | { readonly kind: 'latency'; readonly ms: number; readonly jitterMs?: number; readonly when?: 'before' | 'after' }
  /** A status and JSON envelope of the broker's; `before` (default): nothing happened, `after`: it did. */
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly when?: 'before' | 'after';
      readonly code?: number;
      readonly message?: string;
      readonly extra?: Readonly<Record<string, unknown>>;
      /** Sent instead of the JSON envelope, byte for byte. */
      readonly body?: string;
      readonly contentType?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** 429 before anything happens. `reset` is relative seconds or `past` / `plus-1h`; absent headers when null. */
  | {
      readonly kind: 'rate-limited';
      readonly retryAfter?: number | string;
      readonly reset?: 'past' | 'plus-1h' | number | null;
    }
  /** The answer is lost; the work is done first unless `when` is `before`. */
  | { readonly kind: 'answer-lost'; readonly how: LostAnswer; readonly when?: 'before' | 'after' }
  /** The connection dies at once (or hangs); the order is taken `ms` later, if it still passes the rules then. */
  | { readonly kind: 'late-acceptance'; readonly ms: number; readonly how: 'reset' | 'fin' | 'hang' | '502' | '504' }
  /** The order is taken, and for `ms` lists and lookups do not show it. */
  | { readonly kind: 'lookup-lag'; readonly ms: number }
  /** The right answer, but about another symbol (a proxy's mix-up). */
  | { readonly kind: 'wrong-symbol'; readonly symbol: string }
  /** The body comes byte by byte. */
  | { readonly kind: 'slow-body'; readonly bytesPerSecond: number };

export type StreamFault =
  /** Socket open, nothing sent any more, no pong. Events of that time are lost, as on a half-open link. */
  | { readonly kind: 'stream-mute' }
  /** Events are kept back until the switch goes off, then delivered in order. Lost if the socket closes before. */
  | { readonly kind: 'stream-hold' }
  /** Events are thrown away silently. */
  | { readonly kind: 'stream-lose' }
  /** Every event is sent twice. */
  | { readonly kind: 'stream-duplicate' }
  /** Each event waits for the next one and follows it. */
  | { readonly kind: 'stream-reorder' }
  /** What becomes of an authentication message. */
  | { readonly kind: 'stream-auth'; readonly answer: 'never' | 'unauthorized' | 'close' }
  /** The upgrade itself is refused with this status (e.g. 429). Knows no account yet. */
  | { readonly kind: 'stream-refuse'; readonly status: number };

export type Fault = RequestFault | StreamFault;

export interface Switch {
  readonly fault: Fault;
  /** Any account when absent. */
  readonly accounts?: readonly string[];
  /** Any method when absent. */
  readonly method?: string;
  /** Exact path, or with `*` for any run of characters; `re:` starts a regular expression. Stream faults match the
   *  stream's path (`/stream`, `/v2/iex`). */
  readonly path?: string;
  /** Only from the n-th request with the same client_order_id on (2: the second attempt). */
  readonly attemptFrom?: number;
  /** Used up after so many matches; for ever when absent. */
  readonly count?: number;
  /** Chance of each match, drawn from the simulator's seed; 1 when absent. */
  readonly probability?: number;
  /** Skips the first so many matches. */
  readonly skip?: number;
}

export interface ActiveSwitch extends Switch {
  readonly id: number;
  /** How often it has fired. */
  readonly fired: number;
}
