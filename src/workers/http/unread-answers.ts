/**
 * Cuts clients that do not read what they asked for: an answer of which the kernel has taken nothing more for a while
 * holds a place, a buffer and a connection. A slow reader that still reads is left alone.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Exchange } from './exchange.js';

const LOOK_EVERY_MS = 1_000;
/** Without a byte taken. Slow heads and bodies of requests are cut within the same time. */
const UNREAD_MS_MAX = 10_000;

interface Progress {
  flushed: number;
  since: number;
}

export class UnreadAnswers {
  readonly #answered = new Map<Exchange, Progress | undefined>();
  #isLooking = false;

  constructor(private readonly clock: Clock) {}

  /** The whole answer has been given to the connection. */
  answered(exchange: Exchange): void {
    this.#answered.set(exchange, undefined);
    if (!this.#isLooking) this.#lookLater();
  }

  settled(exchange: Exchange): void {
    this.#answered.delete(exchange);
  }

  #lookLater(): void {
    this.#isLooking = true;
    this.clock.after(LOOK_EVERY_MS, () => {
      this.#isLooking = false;
      this.#look();
      if (this.#answered.size > 0) this.#lookLater();
    });
  }

  #look(): void {
    const now = this.clock.monotonicMs();
    for (const [exchange, before] of this.#answered) {
      const { socket } = exchange.req;
      // What the connection has been given, less what it still holds: taken by the kernel.
      const flushed = socket.bytesWritten - socket.writableLength;
      if (before === undefined || before.flushed !== flushed) this.#answered.set(exchange, { flushed, since: now });
      else if (now - before.since >= UNREAD_MS_MAX) socket.destroy();
    }
  }
}
