/** Turns the validated mapping (snake case, relative paths, `auto`) into the GatewayConfig that the program reads. */
import { availableParallelism, hostname } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { GatewayConfig } from './gateway-config.js';
import { isMapping } from './yaml.js';

/** Names chosen by the operator stand as keys here: they are kept as they are. */
const OWN_NAMES = new Set(['risk.accounts', 'auth.not_before']);

/** Files named by the operator, relative to the configuration file. */
const FILES = [
  ['server', 'tls', 'certFile'],
  ['server', 'tls', 'keyFile'],
  ['server', 'tls', 'clientCaFile'],
  ['admin', 'socket'],
  ['admin', 'tls', 'certFile'],
  ['admin', 'tls', 'keyFile'],
  ['admin', 'tls', 'clientCaFile'],
  ['auth', 'publicKeyFile'],
  ['secrets', 'keyFile'],
  ['secrets', 'passphraseFile'],
  ['secrets', 'previousKeyFile'],
  ['orders', 'idKeyFile'],
  ['orders', 'previousIdKeyFile'],
  ['marketData', 'sharedMemoryDir'],
  ['dataDir'],
] as const;

/** @param value has passed the schema; @param sourceFiles the first is the configuration file itself. */
export function compile(value: Readonly<Record<string, unknown>>, sourceFiles: readonly string[]): GatewayConfig {
  const config = camel(value, '') as Record<string, unknown>;
  const directory = dirname(sourceFiles[0] ?? '');
  for (const path of FILES) absolute(config, path, directory);
  const cluster = config['cluster'] as Record<string, unknown>;
  const cores = availableParallelism();
  cluster['workers'] = cluster['workers'] === 'auto' ? cores : cluster['workers'];
  cluster['threads'] = cluster['threads'] === 'auto' ? (cores > 4 ? 2 : 1) : cluster['threads'];
  cluster['instanceId'] ??= hostname();
  const server = config['server'] as Record<string, unknown>;
  server['trustProxy'] = proxies(server['trustProxy']);
  config['masterAccount'] = { ...(config['masterAccount'] as object), accountId: 'master' };
  delete config['accountsFile'];
  config['sourceFiles'] = sourceFiles;
  // The schema is the proof: every member was validated under the name that it has here.
  return config as unknown as GatewayConfig;
}

function camel(value: unknown, path: string): unknown {
  if (Array.isArray(value)) return value.map((item) => camel(item, path));
  if (!isMapping(value)) return value;
  const keep = OWN_NAMES.has(path);
  const entries = Object.entries(value).map(([key, member]) => [
    keep ? key : key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    camel(member, path === '' ? key : `${path}.${key}`),
  ]);
  return Object.fromEntries(entries) as unknown;
}

function absolute(config: Record<string, unknown>, path: readonly string[], directory: string): void {
  let owner: unknown = config;
  for (const part of path.slice(0, -1)) owner = isMapping(owner) ? owner[part] : undefined;
  const name = path.at(-1) ?? '';
  if (!isMapping(owner) || typeof owner[name] !== 'string') return;
  owner[name] = resolve(directory, owner[name]);
}

function proxies(value: unknown): unknown {
  if (value === true) return 1;
  if (value === 0) return false;
  return typeof value === 'string' ? [value] : value;
}
