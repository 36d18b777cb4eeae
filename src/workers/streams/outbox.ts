/**
 * What one socket is owed. Order events and answers wait in order up to a bound; market data does not wait here (see
 * market-fan-out.ts). Everything that became ready within a tick leaves as one message, an array of records.
 */
import type { Clock } from '../../kernel/runtime/clock.js';

/** The part of a WebSocket that is written to. */
export interface FrameSocket {
  readonly bufferedAmount: number;
  send(frame: string | Buffer, options: { binary: boolean }): void;
}

export interface OutboxOptions {
  readonly flushIntervalMs: number;
  /** Bytes in the socket's buffer beyond which nothing more is handed to it. */
  readonly bufferedBytesMax: number;
  /** Records that may wait; one more calls `onOverflow`. */
  readonly backlogMax: number;
  readonly onOverflow: () => void;
}

const SLOW_TICK_MS = 50;

export class Outbox {
  #waiting: { readonly text: string; readonly onSent: (() => void) | undefined }[] = [];
  #cancelTick: (() => void) | undefined;
  #closed = false;

  constructor(
    private readonly socket: FrameSocket,
    private readonly options: OutboxOptions,
    private readonly clock: Clock,
  ) {}

  hasRoom(): boolean {
    return this.socket.bufferedAmount <= this.options.bufferedBytesMax;
  }

  /** A frame put together elsewhere. What waits goes first: an acknowledgement precedes the data that it allows. */
  takeFrame(frame: Buffer): boolean {
    this.flush();
    if (this.#closed || this.#waiting.length > 0 || !this.hasRoom()) return false;
    this.socket.send(frame, { binary: false });
    return true;
  }

  /** `onSent` is called when the record is handed to the socket; never for one that is dropped. */
  add(text: string, onSent?: () => void): void {
    if (this.#closed) return;
    if (this.#waiting.length >= this.options.backlogMax) {
      this.options.onOverflow();
      return;
    }
    this.#waiting.push({ text, onSent });
    this.#arm(this.options.flushIntervalMs);
  }

  flush(): void {
    if (this.#closed || this.#waiting.length === 0) return;
    if (!this.hasRoom()) {
      this.#arm(SLOW_TICK_MS);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    const [first] = waiting;
    const single = waiting.length === 1 && first !== undefined;
    this.socket.send(single ? first.text : `[${waiting.map(({ text }) => text).join(',')}]`, { binary: false });
    for (const { onSent } of waiting) onSent?.();
  }

  /** Drops what waits. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#cancelTick?.();
    this.#cancelTick = undefined;
  }

  #arm(ms: number): void {
    this.#cancelTick ??= this.clock.after(ms, () => {
      this.#cancelTick = undefined;
      this.flush();
    });
  }
}
