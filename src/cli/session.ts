/** What most commands begin with: the configuration file, checked, and its keys. Starts nothing. */
import { configFileFrom, readEnvironment } from '../kernel/config/environment.js';
import { keyProblems, keyWarnings, type NamedKeys } from '../kernel/config/broker-checks.js';
import { namedKeys } from '../kernel/config/checks.js';
import type { GatewayConfig } from '../kernel/config/gateway-config.js';
import { loadConfig } from '../kernel/config/load-config.js';
import { configInvalid, type ConfigProblem } from '../kernel/config/problems.js';
import { GatewayError } from '../kernel/domain/errors.js';
import { isSealed } from '../kernel/secrets/envelope.js';
import { namespaceOf } from '../kernel/secrets/order-id-namespace.js';
import { AUTH_SECRET, openKeyring, type Keyring, type SecretPlace } from '../kernel/secrets/keyring.js';

export interface ConfigOption {
  readonly config?: string;
}

export interface Session {
  readonly file: string;
  readonly config: GatewayConfig;
  readonly keyring: Keyring;
}

export function configFileOf(options: ConfigOption): string {
  return configFileFrom(options.config, readEnvironment());
}

/** @throws GatewayError CONFIG_INVALID, SECRET_INVALID */
export async function openSession(options: ConfigOption): Promise<Session> {
  const file = configFileOf(options);
  const config = await loadConfig(file, readEnvironment());
  return { file, config, keyring: await openKeyring(config.secrets) };
}

/** Opens every secret and keeps none. @throws GatewayError CONFIG_INVALID naming each one that does not open. */
export async function checkSecrets({ file, config, keyring }: Session): Promise<void> {
  const problems: ConfigProblem[] = [];
  let opened = 0;
  const check = async (path: string, text: string, place: SecretPlace): Promise<void> => {
    try {
      await keyring.reveal(text, place);
      if (isSealed(text)) opened += 1;
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      problems.push({ path, reason: 'does not open with the configured key' });
    }
  };
  if (config.auth.secret !== undefined) await check('auth.secret', config.auth.secret, AUTH_SECRET);
  const all = namedKeys(config);
  for (const { path, accountId, apiKey, secretKey } of all) {
    await check(`${path}.api_key`, apiKey, { accountId, field: 'api_key' });
    await check(`${path}.secret_key`, secretKey, { accountId, field: 'secret_key' });
  }
  // Two lines an account would bury the one thing to know.
  if (opened === 0 && problems.length > 1)
    throw configInvalid(file, [
      { path: 'secrets', reason: 'no secret opens with the configured key: it is another one' },
    ]);
  if (problems.length > 0) throw configInvalid(file, problems);
  await namespaceOf(config.orders.idKeyFile);
  await namespaceOf(config.orders.previousIdKeyFile);
  const pairs = await openedPairs(config, keyring);
  const wrong = keyProblems(pairs);
  if (wrong.length > 0) throw configInvalid(file, wrong);
}

/** What is allowed, and deserves a look. One finding a line. */
export async function warningsOf({ config, keyring }: Session): Promise<readonly ConfigProblem[]> {
  const warnings = [...keyWarnings(await openedPairs(config, keyring))];
  if (config.orders.idKeyFile === undefined)
    warnings.push({
      path: 'orders.id_key_file',
      reason: 'is not set: every caller who knows a key can compute the client order id that is derived from it',
    });
  return warnings;
}

async function openedPairs(config: GatewayConfig, keyring: Keyring): Promise<readonly NamedKeys[]> {
  const opened: NamedKeys[] = [];
  for (const named of namedKeys(config)) {
    const { accountId, apiKey, secretKey } = named;
    opened.push({
      ...named,
      apiKey: await keyring.reveal(apiKey, { accountId, field: 'api_key' }),
      secretKey: await keyring.reveal(secretKey, { accountId, field: 'secret_key' }),
    });
  }
  return opened;
}

/** The HS256 secret, opened; undefined where tokens are signed by somebody else's key. */
export async function authSecret({ config, keyring }: Session): Promise<string | undefined> {
  return config.auth.secret === undefined ? undefined : keyring.reveal(config.auth.secret, AUTH_SECRET);
}
