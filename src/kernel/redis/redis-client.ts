/**
 * Clients of the Redis that several instances share, made for one purpose each. Nothing waits in a queue for a server
 * that is away: a command fails at once, and its caller knows what that means. Loaded only where `cluster.redis` is set.
 */
import { createClient } from 'redis';

export interface RedisClientOptions {
  /** `redis://`, `rediss://` with user and password where asked for, or `unix:///path`. */
  readonly url: string;
  readonly connectTimeoutMs: number;
  readonly queuedCommandsMax: number;
  /** Absent: one connection attempt, and no other after its end. */
  readonly reconnectMs?: number;
  /** A server that is silent so long, a ping unanswered, is given up. For a connection that only listens. */
  readonly silenceMs?: number;
}

export type RedisClient = ReturnType<typeof redisClient>;

// eslint-disable-next-line @typescript-eslint/explicit-module-boundary-types -- node-redis's own generic, which only inference can spell
export function redisClient({ url, connectTimeoutMs, queuedCommandsMax, reconnectMs, silenceMs }: RedisClientOptions) {
  const path = url.startsWith('unix:') ? new URL(url).pathname : undefined;
  const client = createClient({
    ...(path === undefined && { url }),
    disableOfflineQueue: true,
    commandsQueueMaxLength: queuedCommandsMax,
    maintNotifications: 'disabled',
    ...(silenceMs !== undefined && { pingInterval: Math.floor(silenceMs / 2) }),
    socket: {
      ...(path !== undefined && { path }),
      connectTimeout: connectTimeoutMs,
      ...(silenceMs !== undefined && { socketTimeout: silenceMs }),
      reconnectStrategy: reconnectMs === undefined ? false : () => reconnectMs,
    },
  });
  return client;
}
