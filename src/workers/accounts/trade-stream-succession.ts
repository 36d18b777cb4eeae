/**
 * The trade stream of a session, and its successor under other keys. The old one hears until the new one does and nothing
 * of the old one is on the way any more, so that a rotation leaves no gap. A successor that cannot be opened, where the
 * broker allows one connection for instance, takes the place all the same and tries on: a gap like any other.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { KeyPair } from '../alpaca/broker-wire.js';
import { TradeStream, type TradeStreamEvents, type TradeStreamOptions } from '../alpaca/trade-stream.js';

export class TradeStreamSuccession {
  #current: TradeStream | undefined;
  #isUp = false;
  #next: { readonly stream: TradeStream; readonly settle: () => void } | undefined;

  constructor(
    private readonly options: Omit<TradeStreamOptions, 'keys'>,
    /** Of one stream without a seam, as long as there is none. */
    private readonly events: TradeStreamEvents,
    private readonly clock: Clock,
    private readonly jitter: () => number,
  ) {}

  open(keys: KeyPair): void {
    this.#current = this.#streamOf(keys, {
      ...this.events,
      onUp: () => this.#up(),
      onDown: (end) => this.#down(end),
    });
  }

  /** Resolves when the stream under the new keys has the place, listening or not. One at a time. */
  async succeed(keys: KeyPair): Promise<void> {
    await new Promise<void>((settle) => {
      const stream = this.#streamOf(keys, {
        ...this.events,
        onUp: () => void this.#successorUp(stream),
        onDown: (end) => {
          this.#takeOver(stream);
          this.#down(end);
        },
      });
      this.#next = { stream, settle };
    });
  }

  async close(): Promise<void> {
    const next = this.#next;
    this.#next = undefined;
    await Promise.all([this.#current?.close(), next?.stream.close()]);
    next?.settle();
  }

  async #successorUp(stream: TradeStream): Promise<void> {
    if (this.#current !== stream) {
      if (this.#isUp) await this.#current?.heardUntilNow();
      if (!this.#takeOver(stream)) return;
    }
    if (!this.#isUp) this.#up();
  }

  /** False for one that has the place already, or that a close has overtaken. */
  #takeOver(stream: TradeStream): boolean {
    const next = this.#next;
    if (next?.stream !== stream) return false;
    const former = this.#current;
    this.#current = stream;
    this.#next = undefined;
    void former?.close();
    next.settle();
    return true;
  }

  #up(): void {
    this.#isUp = true;
    this.events.onUp();
  }

  #down(end: Parameters<TradeStreamEvents['onDown']>[0]): void {
    this.#isUp = false;
    this.events.onDown(end);
  }

  #streamOf(keys: KeyPair, events: TradeStreamEvents): TradeStream {
    return new TradeStream({ ...this.options, keys }, events, this.clock, this.jitter);
  }
}
