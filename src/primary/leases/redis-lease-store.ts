/**
 * Leases in Redis, on a connection of their own: a long pipeline elsewhere must not delay a renewal. A command that is
 * not answered in time counts as failed; the caller's lease then runs out by its own clock.
 */
import { GatewayError } from '../../kernel/domain/errors.js';
import type { SharedTradingState } from '../../kernel/domain/account-request.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import { redisClient, type RedisClient } from '../../kernel/redis/redis-client.js';
import type { Log } from '../../kernel/runtime/log.js';
import { BEAT_SCRIPT } from './beat-script.js';
import type { LeaseBeat, LeaseStore, LeaseView } from './lease-store.js';

export interface RedisLeaseOptions {
  /** `redis://` or `rediss://`, with user and password where the server asks for them. */
  readonly url: string;
  readonly keyPrefix: string;
  readonly slots: number;
  readonly commandTimeoutMs: number;
}

const COMMANDS_MAX = 64;
const SUBSCRIBER_RETRY_MS = 1_000;

export class RedisLeaseStore implements LeaseStore {
  #client: RedisClient | undefined;
  #subscriber: RedisClient | undefined;
  readonly #keys: readonly string[];
  readonly #channel: string;

  constructor(
    private readonly options: RedisLeaseOptions,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {
    const tag = `{${options.keyPrefix}}`;
    this.#channel = `${tag}:nudge`;
    this.#keys = [
      ...['members', 'urls', 'epochs', 'clean', 'born', 'halts'].map((name) => `${tag}:${name}`),
      ...Array.from({ length: options.slots }, (_, slot) => `${tag}:slot:${slot}`),
    ];
  }

  /**
   * The client's own command timeout ends only the wait to be written, not the wait for an answer, so the deadline is
   * ours. A connection that missed it is dropped: the next beat must not queue behind the one that hangs.
   */
  async beat(beat: LeaseBeat): Promise<LeaseView> {
    const beating = this.#send(beat);
    let cancel: (() => void) | undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = this.clock.after(this.options.commandTimeoutMs, () => reject(new GatewayError('DEADLINE_EXCEEDED')));
    });
    try {
      return parseView(await Promise.race([beating, late]));
    } catch (cause) {
      beating.catch(() => undefined);
      this.#drop();
      throw cause;
    } finally {
      cancel?.();
    }
  }

  /** Best effort: without it the next beat finds the same a little later. */
  onNudge(listen: () => void): void {
    const subscriber = this.#newClient(SUBSCRIBER_RETRY_MS);
    this.#subscriber = subscriber;
    subscriber
      .connect()
      .then(() => subscriber.subscribe(this.#channel, listen))
      .catch((cause: unknown) => this.log.warn({ cause: String(cause) }, 'lease nudges are not heard'));
  }

  close(): Promise<void> {
    // Nothing is in flight that matters: what was not renewed runs out.
    this.#drop();
    if (this.#subscriber?.isOpen === true) this.#subscriber.destroy();
    return Promise.resolve();
  }

  async #send(beat: LeaseBeat): Promise<string> {
    const client = this.#client ?? (await this.#connect());
    const text = await client.eval(BEAT_SCRIPT, {
      keys: [...this.#keys],
      arguments: [JSON.stringify({ ...beat, slots: this.options.slots, channel: this.#channel })],
    });
    if (typeof text !== 'string') {
      throw new GatewayError('MESSAGE_INVALID', {}, { message: 'the lease script gave no text' });
    }
    return text;
  }

  async #connect(): Promise<RedisClient> {
    // The keeper's next beat is the retry.
    const client = this.#newClient(undefined);
    this.#client = client;
    await client.connect();
    return client;
  }

  #newClient(reconnectMs: number | undefined): RedisClient {
    const client = redisClient({
      url: this.options.url,
      connectTimeoutMs: this.options.commandTimeoutMs,
      queuedCommandsMax: COMMANDS_MAX,
      ...(reconnectMs !== undefined && { reconnectMs }),
    });
    client.on('error', (error: Error) => this.log.warn({ cause: error.message }, 'lease store error'));
    return client;
  }

  #drop(): void {
    const client = this.#client;
    this.#client = undefined;
    if (client?.isOpen === true) client.destroy();
  }
}

function parseView(text: string): LeaseView {
  const raw = JSON.parse(text) as {
    // Lua cannot tell an empty list from an empty object.
    members: [string, string][] | Record<string, never>;
    owners: string[] | Record<string, never>;
    acquired: [string, string, string][] | Record<string, never>;
    halts: [string, string][] | Record<string, never>;
    haltsVersion: number;
  };
  return {
    haltsVersion: raw.haltsVersion,
    halts: listOf(raw.halts).map(([key, text]) => ({ key, state: JSON.parse(text) as SharedTradingState })),
    members: listOf(raw.members).map(([instanceId, advertiseUrl]) => ({ instanceId, advertiseUrl })),
    owners: listOf(raw.owners).map(parseOwner),
    acquired: listOf(raw.acquired).map(([slot, epoch, clean]) => ({
      slot: Number(slot),
      epoch: Number(epoch),
      before: clean === '1' ? 'released' : clean === '2' ? 'never-held' : 'expired',
    })),
  };
}

function parseOwner(text: string): { instanceId: string; epoch: number } | undefined {
  if (text === '') return undefined;
  const bar = text.lastIndexOf('|');
  if (bar < 1)
    throw new GatewayError('MESSAGE_INVALID', { text: text.slice(0, 80) }, { message: 'a lease holds no owner' });
  return { instanceId: text.slice(0, bar), epoch: Number(text.slice(bar + 1)) };
}

function listOf<T>(value: T[] | Record<string, never>): readonly T[] {
  return Array.isArray(value) ? value : [];
}
