/** Rules that concern more than one key. Each finding names the key to change. */
import { relative } from 'node:path';
import type { AccountCredentials, GatewayConfig, TlsConfig } from './gateway-config.js';
import { endpointProblems, keyProblems, type NamedKeys } from './broker-checks.js';
import { isLoopback } from './loopback.js';
import type { ConfigProblem } from './problems.js';
import { nearestName } from './problems.js';

export const SEALED_PREFIX = 'enc:';
const HMAC_SECRET_BYTES_MIN = 32;

export function crossChecks(config: GatewayConfig, production: boolean): readonly ConfigProblem[] {
  return [
    ...authProblems(config),
    ...accountProblems(config),
    ...endpointProblems(config.alpaca),
    ...keyProblems(namedKeys(config).filter(({ apiKey, secretKey }) => ![apiKey, secretKey].some(isSealedText))),
    ...idKeyProblems(config),
    ...secretProblems(config, production),
    ...transportProblems(config),
    ...instanceProblems(config),
  ];
}

function authProblems({ auth }: GatewayConfig): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const symmetric = auth.algorithms.includes('HS256');
  if (symmetric && auth.algorithms.length > 1)
    problems.push({ path: 'auth.algorithms', reason: 'HS256 may not stand beside public key algorithms' });
  if (symmetric && auth.secret === undefined)
    problems.push({ path: 'auth.secret', reason: 'is missing: HS256 needs it' });
  if (symmetric && (auth.publicKeyFile ?? auth.jwksUrl) !== undefined)
    problems.push({ path: 'auth.algorithms', reason: 'HS256 may not be used together with public keys' });
  if (!symmetric && (auth.publicKeyFile ?? auth.jwksUrl) === undefined)
    problems.push({ path: 'auth.public_key_file', reason: 'is missing: give it or auth.jwks_url' });
  if (!symmetric && auth.secret !== undefined)
    problems.push({ path: 'auth.secret', reason: 'may not be set together with public key algorithms' });
  const short = auth.secret !== undefined && Buffer.byteLength(auth.secret) < HMAC_SECRET_BYTES_MIN;
  if (short && !auth.secret.startsWith(SEALED_PREFIX))
    problems.push({ path: 'auth.secret', reason: `must have at least ${HMAC_SECRET_BYTES_MIN} bytes` });
  if (auth.publicKeyFile !== undefined && auth.jwksUrl !== undefined)
    problems.push({ path: 'auth.jwks_url', reason: 'give either auth.public_key_file or auth.jwks_url' });
  if (auth.jwksUrl?.startsWith('http:') === true && !isLoopback(new URL(auth.jwksUrl).hostname))
    problems.push({ path: 'auth.jwks_url', reason: 'must be https' });
  return problems;
}

function isSealedText(text: string): boolean {
  return text.startsWith(SEALED_PREFIX);
}

/** The key pairs of all accounts as they stand in the file; sealed ones are judged when they are opened. */
export function namedKeys(config: GatewayConfig): readonly NamedKeys[] {
  const of = (account: AccountCredentials, path: string, isTrading: boolean): NamedKeys => {
    const { accountId, apiKey, secretKey, paperTrading } = account;
    return { path, accountId, apiKey, secretKey, paperTrading, isTrading };
  };
  return [
    of(config.masterAccount, 'master_account', false),
    ...config.tradingAccounts.map((account, index) => of(account, `trading_accounts[${index}]`, true)),
  ];
}

/** The data directory is copied to backups and read by support: a secret that ids are made with stays out of it. */
function idKeyProblems({ orders, dataDir }: GatewayConfig): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  for (const [path, file] of [
    ['orders.id_key_file', orders.idKeyFile],
    ['orders.previous_id_key_file', orders.previousIdKeyFile],
  ] as const) {
    if (file !== undefined && !relative(dataDir, file).startsWith('..'))
      problems.push({ path, reason: 'must stand outside data_dir' });
  }
  if (orders.previousIdKeyFile !== undefined && orders.idKeyFile === undefined)
    problems.push({
      path: 'orders.id_key_file',
      reason: 'is missing: orders.previous_id_key_file is the one before it',
    });
  return problems;
}

function accountProblems(config: GatewayConfig): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const ids = config.tradingAccounts.map((account) => String(account.accountId));
  const seen = new Map<string, number>();
  ids.forEach((id, index) => {
    const first = seen.get(id);
    if (first === undefined) seen.set(id, index);
    else
      problems.push({
        path: `trading_accounts[${index}].account_id`,
        reason: `duplicate account id ${id}, also trading_accounts[${first}]`,
      });
  });
  const known = (id: string, path: string): void => {
    if (seen.has(id)) return;
    const nearest = nearestName(id, [...seen.keys()].slice(0, 2000));
    problems.push({ path, reason: 'names no trading account', ...(nearest === undefined ? {} : { nearest }) });
  };
  for (const id of Object.keys(config.risk.accounts)) known(id, `risk.accounts.${id}`);
  config.marketData.fallbackAccounts.forEach((id, index) => {
    known(id, `market_data.fallback_accounts[${index}]`);
  });
  return problems;
}

function secretProblems(config: GatewayConfig, production: boolean): readonly ConfigProblem[] {
  const values = secretValues(config);
  const sealed = values.filter(([, value]) => value.startsWith(SEALED_PREFIX));
  const plain = values.filter(([, value]) => !value.startsWith(SEALED_PREFIX));
  const { keyFile, keyFd, passphraseFile, allowPlainText } = config.secrets;
  const problems: ConfigProblem[] = [];
  const sources = [keyFile, keyFd, passphraseFile].filter((source) => source !== undefined);
  if (sources.length > 1)
    problems.push({ path: 'secrets', reason: 'give one of key_file, key_fd and passphrase_file' });
  if (sealed.length > 0 && sources.length === 0)
    problems.push({ path: 'secrets.key_file', reason: `is missing: ${sealed[0]?.[0] ?? ''} is encrypted` });
  const first = plain[0]?.[0];
  if (first === undefined) return problems;
  const more = plain.length > 1 ? ` (and ${plain.length - 1} more)` : '';
  if (!isLoopback(config.server.host))
    problems.push({
      path: first,
      reason: `is plain text${more}: run "opitios encrypt", or bind server.host to 127.0.0.1`,
    });
  else if (production && !allowPlainText)
    problems.push({
      path: first,
      reason: `is plain text${more}: run "opitios encrypt", or set secrets.allow_plain_text`,
    });
  return problems;
}

function transportProblems({ server, admin }: GatewayConfig): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  if (!server.requireHttps && !isLoopback(server.host))
    problems.push({ path: 'server.require_https', reason: 'may be false only when server.host is a loopback address' });
  const hasTls = (admin.tls ?? server.tls) !== undefined;
  if (admin.socket === undefined && !isLoopback(admin.host) && !hasTls)
    problems.push({
      path: 'admin.host',
      reason: 'is no loopback address: set admin.tls or server.tls, or serve admin.socket',
    });
  return problems;
}

/** HTTPS of the operator's door: its own, or off loopback the client door's. Undefined means plain HTTP. */
export function operatorTls({ server, admin }: Pick<GatewayConfig, 'server' | 'admin'>): TlsConfig | undefined {
  if (admin.socket !== undefined) return undefined;
  return admin.tls ?? (isLoopback(admin.host) ? undefined : server.tls);
}

function instanceProblems({ cluster }: GatewayConfig): readonly ConfigProblem[] {
  const { redis, instanceId } = cluster;
  if (redis?.mode !== 'pinned') return [];
  const path = 'cluster.redis.instances';
  if (!redis.instances.some((one) => one.instanceId === instanceId))
    return [{ path, reason: `must name every instance in mode pinned; ${instanceId} is missing` }];
  return [];
}

/** Every secret of the configuration with the path where it stands. */
export function secretValues(config: GatewayConfig): readonly (readonly [path: string, value: string])[] {
  const of = (account: AccountCredentials, path: string): [string, string][] => [
    [`${path}.api_key`, account.apiKey],
    [`${path}.secret_key`, account.secretKey],
  ];
  return [
    ...(config.auth.secret === undefined ? [] : [['auth.secret', config.auth.secret] as [string, string]]),
    ...of(config.masterAccount, 'master_account'),
    ...config.tradingAccounts.flatMap((account, index) => of(account, `trading_accounts[${index}]`)),
  ];
}
