/**
 * What instances must agree on before an order is placed, in Redis: which brokerage account stands behind each account id,
 * and the fingerprint of the namespace that client order ids are derived from. Asked for every two seconds.
 */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import { redisClient, type RedisClient } from '../../kernel/redis/redis-client.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';

export interface SharedFactsOptions {
  readonly url: string;
  readonly keyPrefix: string;
  /** Of the namespace in use here, as it is now. */
  readonly fingerprint: () => string;
  readonly onNumbers: (numbers: ReadonlyMap<AccountId, string>) => void;
  /** Undefined when the namespace here is that of the other instances. */
  readonly onOtherNamespace: (fingerprint: string | undefined) => void;
}

const CONNECT_TIMEOUT_MS = 1_000;
const RECONNECT_MS = 500;
const COMMANDS_MAX = 10_000;
const ASKED_EVERY_MS = 2_000;
/** A namespace that no instance has used for so long may be replaced by another one. */
const NAMESPACE_KEPT_MS = 30_000;

export class SharedFacts {
  readonly #client: RedisClient;
  readonly #stop = new AbortController();
  readonly #named = new Map<AccountId, string>();

  constructor(
    private readonly options: SharedFactsOptions,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    const { url } = options;
    this.#client = redisClient({
      ...{ url, connectTimeoutMs: CONNECT_TIMEOUT_MS, queuedCommandsMax: COMMANDS_MAX, reconnectMs: RECONNECT_MS },
    });
    this.#client.on('error', (error: Error) => log.debug({ cause: error.message }, 'shared facts: Redis error'));
  }

  /** Resolves when the facts have been asked for once, or could not be in time. */
  async start(): Promise<void> {
    const limit = new AbortController();
    const asked = this.#client
      .connect()
      .then(() => this.#ask())
      .catch((cause: unknown) => this.log.warn({ cause: String(cause) }, 'facts are not shared yet'));
    await Promise.race([asked, this.clock.sleep(ASKED_EVERY_MS, limit.signal)]);
    limit.abort();
    void this.#run();
  }

  /** The broker has named the account behind an account id of this instance. */
  named(accountId: AccountId, number: string): void {
    this.#named.set(accountId, number);
    void this.#ask().catch(() => undefined);
  }

  close(): void {
    this.#stop.abort();
    if (this.#client.isOpen) this.#client.destroy();
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.#ask().catch((cause: unknown) => this.log.debug({ cause: String(cause) }, 'shared facts not read'));
      await this.clock.sleep(ASKED_EVERY_MS, this.#stop.signal);
    }
  }

  async #ask(): Promise<void> {
    const own = this.options.fingerprint();
    const key = `{${this.options.keyPrefix}}:order-id-namespace`;
    await this.#client.set(key, own, { condition: 'NX', expiration: { type: 'PX', value: NAMESPACE_KEPT_MS } });
    const inUse = await this.#client.get(key);
    if (inUse === own) await this.#client.pExpire(key, NAMESPACE_KEPT_MS);
    this.options.onOtherNamespace(inUse === null || inUse === own ? undefined : inUse);
    const numbersKey = `{${this.options.keyPrefix}}:broker-accounts`;
    const named = Object.fromEntries(this.#named);
    if (this.#named.size > 0) await this.#client.hSet(numbersKey, named);
    for (const [accountId, number] of Object.entries(named))
      if (this.#named.get(accountId as AccountId) === number) this.#named.delete(accountId as AccountId);
    const numbers = await this.#client.hGetAll(numbersKey);
    this.options.onNumbers(new Map(Object.entries(numbers) as [AccountId, string][]));
  }
}
