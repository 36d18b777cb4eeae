/** What a worker takes from its environment, which is nothing in production. */

/** `K3:7`: die at a crash point of the order path (RELIABILITY 1.2). Heard only when NODE_ENV is `test`. */
export const CRASH_POINTS_ENV = 'OPITIOS_CRASH_AT';

/** Takes the SDK's own variables away: with a half of a key missing it would fall back to them, to a wrong account. */
export function environmentOf(env: NodeJS.ProcessEnv): Readonly<Record<string, string | undefined>> {
  for (const name of Object.keys(env)) {
    if (name.startsWith('APCA_')) Reflect.deleteProperty(env, name);
  }
  return env['NODE_ENV'] === 'test' ? { [CRASH_POINTS_ENV]: env[CRASH_POINTS_ENV] } : {};
}
