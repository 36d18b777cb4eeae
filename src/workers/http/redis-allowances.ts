/**
 * Grants of the shared request limits in Redis: one counter a key and minute of the server's own clock, changed by a Lua
 * script that Redis 7.0 and Valkey run alike. An answer that is late counts as none.
 */
import { GatewayError } from '../../kernel/domain/errors.js';
import { redisClient, type RedisClient } from '../../kernel/redis/redis-client.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { AllowanceStore, Grant } from './shared-limiter.js';

/** KEYS[1] is completed with the minute: all of them have one hash tag. ARGV: limit, parts, or a count to give back. */
const GRANT_SCRIPT = `
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local key = KEYS[1] .. ':' .. string.format('%.0f', math.floor(now / 60000))
local free = tonumber(ARGV[1]) - tonumber(redis.call('GET', key) or '0')
local granted = math.min(free, math.max(1, math.floor(free / tonumber(ARGV[2]))))
if granted > 0 then
  redis.call('INCRBY', key, granted)
  redis.call('PEXPIRE', key, 120000)
else
  granted = 0
end
return { granted, math.max(0, free - granted), 60000 - now % 60000 }
`;
const GIVE_BACK_SCRIPT = `
local time = redis.call('TIME')
local key = KEYS[1] .. ':' .. string.format('%.0f', math.floor(tonumber(time[1]) / 60))
local used = tonumber(redis.call('GET', key) or '0')
if used >= tonumber(ARGV[1]) then redis.call('DECRBY', key, ARGV[1]) end
return 1
`;
const ANSWER_MS = 150;
const CONNECT_TIMEOUT_MS = 1_000;
const RECONNECT_MS = 500;
const COMMANDS_MAX = 1_000;

export class RedisAllowances implements AllowanceStore {
  readonly #client: RedisClient;

  constructor(
    private readonly options: { readonly url: string; readonly keyPrefix: string },
    private readonly clock: Clock,
    log: Log,
  ) {
    this.#client = redisClient({
      url: options.url,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      queuedCommandsMax: COMMANDS_MAX,
      reconnectMs: RECONNECT_MS,
    });
    this.#client.on('error', (error: Error) => log.debug({ cause: error.message }, 'request limits: Redis error'));
    this.#client
      .connect()
      .catch((cause: unknown) => log.debug({ cause: String(cause) }, 'request limits: not connected'));
  }

  async grant(key: string, limit: number, parts: number): Promise<Grant> {
    const asked = this.#client.eval(GRANT_SCRIPT, {
      keys: [this.#key(key)],
      arguments: [String(limit), String(parts)],
    });
    let cancel: (() => void) | undefined;
    const late = new Promise<never>((_, reject) => {
      cancel = this.clock.after(ANSWER_MS, () => {
        reject(new GatewayError('DEADLINE_EXCEEDED'));
      });
    });
    try {
      const [granted, free, resetsInMs] = (await Promise.race([asked, late])) as unknown as readonly number[];
      return { granted: granted ?? 0, free: free ?? 0, resetsInMs: resetsInMs ?? 0 };
    } catch (cause) {
      asked.catch(() => undefined);
      throw cause;
    } finally {
      cancel?.();
    }
  }

  giveBack(key: string, count: number): void {
    const options = { keys: [this.#key(key)], arguments: [String(count)] };
    this.#client.eval(GIVE_BACK_SCRIPT, options).catch(() => undefined);
  }

  close(): void {
    if (this.#client.isOpen) this.#client.destroy();
  }

  #key(key: string): string {
    return `{${this.options.keyPrefix}}:limit:${key}`;
  }
}
