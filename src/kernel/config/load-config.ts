/**
 * Reads, validates and compiles the configuration: once, whole, or not at all. Opens no secret and starts nothing, so
 * that `opitios check` and a reload run exactly this.
 */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { GatewayError } from '../domain/errors.js';
import { crossChecks } from './checks.js';
import { compile } from './compile.js';
import { overridesFrom, type Environment, type Override } from './environment.js';
import type { GatewayConfig } from './gateway-config.js';
import { configInvalid, type ConfigProblem } from './problems.js';
import { accountsFileSchema, configSchema } from './schema.js';
import { readTls } from './tls-files.js';
import { knownKeys, showPath, takesText, validate } from './validate.js';
import { isMapping, parseYaml, readYamlFile } from './yaml.js';

/** @throws GatewayError CONFIG_INVALID with facts `{file, problems}`: every problem, not the first one. */
export async function loadConfig(file: string, environment: Environment): Promise<GatewayConfig> {
  const { config, path } = await loadDraft(file, environment);
  const production = environment['NODE_ENV'] === 'production';
  const problems = [...crossChecks(config, production), ...(await unusableFiles(config))];
  if (problems.length > 0) throw configInvalid(path, problems);
  return config;
}

export interface ConfigDraft {
  readonly config: GatewayConfig;
  /** Absolute. */
  readonly path: string;
  /** Where the accounts live: the file itself or its accounts_file. */
  readonly accountsPath: string;
}

/**
 * The configuration with every key in shape, before the rules between keys: for the commands that repair what breaks
 * one (a plain text secret, a missing key).
 * @throws GatewayError CONFIG_INVALID
 */
export async function loadDraft(file: string, environment: Environment): Promise<ConfigDraft> {
  const path = resolve(file);
  const input = await readYamlFile(path);
  // A section whose keys are all commented out is null in YAML; the operator means its defaults.
  for (const key of Object.keys(input)) if (input[key] === null) Reflect.deleteProperty(input, key);
  for (const override of overridesFrom(environment)) apply(input, override);
  const accountsPath = await addAccountsFile(input, path);
  const { value, problems } = validate(configSchema, input);
  const missing = missingAccounts(input);
  if (problems.length + missing.length > 0) throw configInvalid(path, [...problems, ...missing]);
  const secretPath = await addSecretFile(value, path);
  const sourceFiles = [...new Set([path, accountsPath, ...secretPath])];
  return { config: compile(value, sourceFiles), path, accountsPath };
}

/** Sets one key from the environment. Parts are matched without regard to case; names of the operator's keep theirs. */
function apply(input: Record<string, unknown>, { path, text, variable }: Override): void {
  const found: string[] = [];
  for (const part of path) {
    const known = knownKeys(configSchema, found);
    found.push(known === undefined ? part : (known.find((key) => key === part.toLowerCase()) ?? part.toLowerCase()));
  }
  const name = found.at(-1);
  if (name === undefined || found.includes('')) throw configInvalid(variable, [{ path: '', reason: 'names no key' }]);
  let owner = input;
  for (const part of found.slice(0, -1)) {
    const next = owner[part] ?? {};
    if (!isMapping(next))
      throw configInvalid(variable, [{ path: showPath(found), reason: 'names a key below one that is not a mapping' }]);
    owner[part] = next;
    owner = next;
  }
  owner[name] = takesText(configSchema, found) ? text : parseYaml(variable, text);
}

async function addAccountsFile(input: Record<string, unknown>, file: string): Promise<string> {
  const named = input['accounts_file'];
  if (typeof named !== 'string' || named === '') return file;
  const accountsFile = resolve(dirname(file), named);
  const accounts = await readYamlFile(accountsFile);
  const { problems } = validate(accountsFileSchema, accounts);
  const doubled = Object.keys(accounts)
    .filter((key) => input[key] !== undefined)
    .map((key): ConfigProblem => ({ path: key, reason: `stands in ${file} too` }));
  if (problems.length + doubled.length > 0) throw configInvalid(accountsFile, [...problems, ...doubled]);
  Object.assign(input, accounts);
  return accountsFile;
}

function missingAccounts(input: Readonly<Record<string, unknown>>): readonly ConfigProblem[] {
  return ['master_account', 'trading_accounts']
    .filter((key) => input[key] === undefined)
    .map((path) => ({ path, reason: 'is missing: give it here or in accounts_file' }));
}

/** @returns where the secret was read, if in a file of its own. */
async function addSecretFile(value: Record<string, unknown>, file: string): Promise<readonly string[]> {
  const auth = value['auth'] as Record<string, unknown>;
  const named = auth['secret_file'];
  delete auth['secret_file'];
  if (typeof named !== 'string') return [];
  const refuse = (reason: string): GatewayError => configInvalid(file, [{ path: 'auth.secret_file', reason }]);
  if (auth['secret'] !== undefined) throw refuse('give either auth.secret or auth.secret_file');
  const secretFile = resolve(dirname(file), named);
  let mode: number;
  try {
    mode = (await stat(secretFile)).mode & 0o777;
    auth['secret'] = (await readFile(secretFile, 'utf8')).trim();
  } catch {
    throw refuse('cannot be read');
  }
  if ((mode & 0o077) !== 0) throw refuse('must have mode 0600');
  return [secretFile];
}

/** A file that is named and not there, or of no use, would fail later, in a worker. */
async function unusableFiles(config: GatewayConfig): Promise<readonly ConfigProblem[]> {
  const { server, admin, auth, secrets, orders } = config;
  const named: readonly (readonly [string, string | undefined])[] = [
    ['auth.public_key_file', auth.publicKeyFile],
    ['secrets.key_file', secrets.keyFile],
    ['secrets.passphrase_file', secrets.passphraseFile],
    ['secrets.previous_key_file', secrets.previousKeyFile],
    ['orders.id_key_file', orders.idKeyFile],
    ['orders.previous_id_key_file', orders.previousIdKeyFile],
  ];
  const problems: ConfigProblem[] = [];
  for (const [path, file] of named) {
    if (file === undefined) continue;
    const readable = await readFile(file).then(
      () => true,
      () => false,
    );
    if (!readable) problems.push({ path, reason: `names a file that cannot be read: ${file}` });
  }
  for (const [path, tls] of [
    ['server.tls', server.tls],
    ['admin.tls', admin.tls],
  ] as const) {
    const read = tls === undefined ? undefined : await readTls(path, tls);
    if (read?.kind === 'bad') problems.push(read.problem);
  }
  return problems;
}
