/**
 * The trade stream of a session, and its successor under other keys. Both are heard for a while, and the old one ends only when
 * all that was on its way has been heard, so that a rotation leaves no gap; an update that both bring passes once by its
 * key. A successor that cannot be opened, where the broker allows one connection for instance, takes the place all the
 * same and tries on: a gap like any other.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { KeyPair } from '../alpaca/broker-wire.js';
import { TradeStream, type TradeStreamEvents, type TradeStreamOptions } from '../alpaca/trade-stream.js';

/** What the broker still sends to the old socket alone comes within it. */
const BOTH_HEARD_MS = 500;

interface Successor {
  stream: TradeStream | undefined;
  readonly settle: () => void;
}

export class TradeStreamSuccession {
  #current: TradeStream | undefined;
  #former: TradeStream | undefined;
  #isUp = false;
  #next: Successor | undefined;
  readonly #stop = new AbortController();

  constructor(
    private readonly options: Omit<TradeStreamOptions, 'keys'>,
    /** Of one stream without a seam, as long as there is none. */
    private readonly events: TradeStreamEvents,
    private readonly clock: Clock,
    private readonly jitter: () => number,
  ) {}

  open(keys: KeyPair): void {
    const stream = this.#streamOf(keys, {
      ...this.events,
      onUp: () => this.#up(stream),
      onDown: (end) => this.#down(stream, end),
    });
    this.#current = stream;
  }

  /** Resolves when the stream under the new keys has the place, listening or not, and the old one is closed. One at a time. */
  async succeed(keys: KeyPair): Promise<void> {
    await new Promise<void>((settle) => {
      const next: Successor = { stream: undefined, settle };
      this.#next = next;
      const stream = this.#streamOf(keys, {
        ...this.events,
        onUp: () => void this.#successorUp(stream),
        onDown: (end) => {
          this.#takeOver(stream);
          this.#down(stream, end);
        },
      });
      next.stream = stream;
    });
    await this.clock.sleep(BOTH_HEARD_MS, this.#stop.signal);
    await this.#former?.close();
    this.#former = undefined;
  }

  async close(): Promise<void> {
    this.#stop.abort();
    const next = this.#next;
    this.#next = undefined;
    await Promise.all([this.#current?.close(), this.#former?.close(), next?.stream?.close()]);
    next?.settle();
  }

  async #successorUp(stream: TradeStream): Promise<void> {
    if (this.#next?.stream === stream) {
      if (this.#isUp) await this.#current?.heardUntilNow();
      this.#takeOver(stream);
    }
    if (!this.#isUp) this.#up(stream);
  }

  /** Nothing for one that has the place already, or that a close has overtaken. */
  #takeOver(stream: TradeStream): void {
    const next = this.#next;
    if (next?.stream !== stream) return;
    this.#former = this.#current;
    this.#current = stream;
    this.#next = undefined;
    next.settle();
  }

  #up(stream: TradeStream): void {
    if (stream !== this.#current) return;
    this.#isUp = true;
    this.events.onUp();
  }

  #down(stream: TradeStream, end: Parameters<TradeStreamEvents['onDown']>[0]): void {
    if (stream !== this.#current) return;
    this.#isUp = false;
    this.events.onDown(end);
  }

  #streamOf(keys: KeyPair, events: TradeStreamEvents): TradeStream {
    return new TradeStream({ ...this.options, keys }, events, this.clock, this.jitter);
  }
}
