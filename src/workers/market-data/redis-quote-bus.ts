/**
 * The quote bus on Redis pub/sub: one connection that publishes, and one that listens once somebody does. Nothing waits
 * for a server that is away or stuck; whoever listens learns by the numbers what it missed. Loaded only where instances
 * share accounts.
 */
import { redisClient, type RedisClient } from '../../kernel/redis/redis-client.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { BusSide, QuoteBus } from './quote-bus.js';

const CONNECT_TIMEOUT_MS = 1_000;
const RECONNECT_MS = 250;
/** Messages sent and not acknowledged; past it the sender keeps what it has, and conflates. */
const IN_FLIGHT_MAX = 64;
/** No acknowledgement for so long: the connection is replaced. */
const STUCK_MS = 3_000;

export class RedisQuoteBus implements QuoteBus {
  #publisher: RedisClient;
  #subscriber: RedisClient | undefined;
  readonly #ears = new Map<BusSide, (message: Uint8Array) => void>();
  readonly #hear: Readonly<Record<BusSide, (message: Buffer) => void>> = {
    hub: (message) => this.#ears.get('hub')?.(message),
    followers: (message) => this.#ears.get('followers')?.(message),
  };
  #inFlight = 0;
  #progressAt = 0;
  #isClosed = false;

  constructor(
    private readonly options: { readonly url: string; readonly keyPrefix: string },
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    this.#publisher = this.#connect({});
  }

  isUp(): boolean {
    return this.#publisher.isReady && !this.#isStuck();
  }

  send(to: BusSide, message: Uint8Array): boolean {
    if (this.#isStuck()) this.#replacePublisher();
    const publisher = this.#publisher;
    if (!publisher.isReady || this.#inFlight >= IN_FLIGHT_MAX) return false;
    if (this.#inFlight === 0) this.#progressAt = this.clock.monotonicMs();
    this.#inFlight += 1;
    const done = (): void => {
      if (publisher !== this.#publisher) return;
      this.#inFlight -= 1;
      this.#progressAt = this.clock.monotonicMs();
    };
    const bytes = Buffer.from(message.buffer, message.byteOffset, message.byteLength);
    publisher.publish(this.#channel(to), bytes).then(done, done);
    return true;
  }

  listen(at: BusSide, hear: (message: Uint8Array) => void): () => void {
    this.#ears.set(at, hear);
    this.#subscriber ??= this.#connect({ silenceMs: STUCK_MS });
    void this.#subscribe(at, hear);
    return () => {
      if (this.#ears.get(at) !== hear) return;
      this.#ears.delete(at);
      this.#subscriber?.unsubscribe(this.#channel(at)).catch(() => undefined);
    };
  }

  close(): void {
    this.#isClosed = true;
    this.#ears.clear();
    for (const client of [this.#publisher, this.#subscriber]) if (client?.isOpen === true) client.destroy();
  }

  /** The client itself subscribes again after every reconnection, once it did the first time. */
  async #subscribe(at: BusSide, hear: (message: Uint8Array) => void): Promise<void> {
    while (!this.#isClosed && this.#ears.get(at) === hear) {
      try {
        await this.#subscriber?.subscribe(this.#channel(at), this.#hear[at], true);
        return;
      } catch {
        await this.clock.sleep(RECONNECT_MS);
      }
    }
  }

  #isStuck(): boolean {
    return this.#inFlight > 0 && this.clock.monotonicMs() - this.#progressAt > STUCK_MS;
  }

  #replacePublisher(): void {
    const stuck = this.#publisher;
    this.#inFlight = 0;
    this.#publisher = this.#connect({});
    if (stuck.isOpen) stuck.destroy();
  }

  #connect(more: { readonly silenceMs?: number }): RedisClient {
    const client = redisClient({
      url: this.options.url,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      queuedCommandsMax: 2 * IN_FLIGHT_MAX,
      reconnectMs: RECONNECT_MS,
      ...more,
    });
    client.on('error', (error: Error) => this.log.debug({ cause: error.message }, 'quote bus: Redis error'));
    client.connect().catch((cause: unknown) => this.log.debug({ cause: String(cause) }, 'quote bus: not connected'));
    return client;
  }

  #channel(side: BusSide): string {
    return `{${this.options.keyPrefix}}:quotes:${side}`;
  }
}
