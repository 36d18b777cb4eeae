/**
 * How far a reader is behind what was sent to it. The socket's own buffer tells late: the kernel takes megabytes before Node
 * sees any of it. A ping queues behind the data, so its answer says that everything before it was read. One ping is on its way
 * at a time, and one is due whenever a sixteenth of the allowance was sent since the last one.
 */

/** A reader whose answer takes longer is not sent market data until it comes. */
const LATE_MS = 1_000;
/** More than our own buffer may hold: this also counts what is only on the wire to a reader that keeps up. */
const ON_THE_WAY = 4;
const PING_SHARE = 4;

export class ReaderLag {
  #sent = 0;
  #confirmed = 0;
  #pings = 0;
  #unanswered: { readonly number: number; readonly atBytes: number; readonly atMs: number } | undefined;
  #checks = 0;

  /** @param bytesMax what our own buffer may hold */
  constructor(private readonly bytesMax: number) {}

  sent(bytes: number): void {
    this.#sent += bytes;
  }

  /** Whether what is not yet known to be read is within the allowance. */
  hasRoom(): boolean {
    return this.#sent - this.#confirmed <= this.bytesMax * ON_THE_WAY;
  }

  isLate(nowMs: number): boolean {
    return this.#unanswered !== undefined && nowMs - this.#unanswered.atMs > LATE_MS;
  }

  wantsPing(): boolean {
    return this.#unanswered === undefined && this.#sent - this.#confirmed >= this.bytesMax / PING_SHARE;
  }

  /** @returns the ping's payload; undefined while another one is on its way */
  ping(nowMs: number): string | undefined {
    if (this.#unanswered !== undefined) return undefined;
    this.#pings += 1;
    this.#unanswered = { number: this.#pings, atBytes: this.#sent, atMs: nowMs };
    this.#checks = 0;
    return String(this.#pings);
  }

  /** @returns how long the answer took; undefined for a pong that answers no ping of ours (RFC 6455 5.5.3 allows it) */
  pong(payload: string, nowMs: number): number | undefined {
    const ping = this.#unanswered;
    if (ping === undefined || payload !== String(ping.number)) return undefined;
    this.#unanswered = undefined;
    this.#confirmed = ping.atBytes;
    return nowMs - ping.atMs;
  }

  /** Counts the looks since the unanswered ping: when we ourselves stood still, an answer may be waiting unread. */
  check(): number {
    this.#checks = this.#unanswered === undefined ? 0 : this.#checks + 1;
    return this.#checks;
  }
}
