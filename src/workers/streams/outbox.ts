/**
 * What one socket is owed. Order events and answers wait in order up to a bound; market data does not wait here (see
 * market-fan-out.ts). Everything that became ready within a tick leaves as one message, an array of records.
 */
import type { Clock } from '../../kernel/runtime/clock.js';
import { ReaderLag } from './reader-lag.js';

/** The part of a WebSocket that is written to. */
export interface FrameSocket {
  readonly bufferedAmount: number;
  send(frame: string | Buffer, options: { binary: boolean }): void;
  ping(payload: string): void;
}

export interface OutboxOptions {
  readonly flushIntervalMs: number;
  /** Bytes in our own buffer beyond which nothing more is sent; four times as many may be on their way. */
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
  readonly #lag: ReaderLag;

  constructor(
    private readonly socket: FrameSocket,
    private readonly options: OutboxOptions,
    private readonly clock: Clock,
  ) {
    this.#lag = new ReaderLag(options.bufferedBytesMax);
  }

  /** Room for market data: a reader that answers late gets none, order events may still go to it. */
  hasRoom(): boolean {
    return this.#hasRoom() && !this.#lag.isLate(this.clock.monotonicMs());
  }

  /** A frame put together elsewhere. What waits goes first: an acknowledgement precedes the data that it allows. */
  takeFrame(frame: Buffer): boolean {
    this.flush();
    if (this.#closed || this.#waiting.length > 0 || !this.hasRoom()) return false;
    this.#send(frame, frame.length);
    return true;
  }

  /** Asks the reader how far it is, unless that was asked and not answered. */
  ping(): void {
    const payload = this.#closed ? undefined : this.#lag.ping(this.clock.monotonicMs());
    if (payload !== undefined) this.socket.ping(payload);
  }

  /** @returns the reader's lag in milliseconds, when this answers our ping */
  pong(payload: string): number | undefined {
    const lagMs = this.#lag.pong(payload, this.clock.monotonicMs());
    if (lagMs !== undefined) this.flush();
    return lagMs;
  }

  /** To be asked at a steady pace: how many times it was asked since a ping that is still unanswered. */
  checksUnanswered(): number {
    return this.#lag.check();
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
    if (!this.#hasRoom()) {
      this.#arm(SLOW_TICK_MS);
      return;
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    const [first] = waiting;
    const single = waiting.length === 1 && first !== undefined;
    const message = single ? first.text : `[${waiting.map(({ text }) => text).join(',')}]`;
    this.#send(message, message.length);
    for (const { onSent } of waiting) onSent?.();
  }

  /** Drops what waits. */
  close(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#cancelTick?.();
    this.#cancelTick = undefined;
  }

  #hasRoom(): boolean {
    return this.socket.bufferedAmount <= this.options.bufferedBytesMax && this.#lag.hasRoom();
  }

  #send(message: string | Buffer, bytes: number): void {
    this.socket.send(message, { binary: false });
    this.#lag.sent(bytes);
    if (this.#lag.wantsPing()) this.ping();
  }

  #arm(ms: number): void {
    this.#cancelTick ??= this.clock.after(ms, () => {
      this.#cancelTick = undefined;
      this.flush();
    });
  }
}
