/** `opitios encrypt`: rewrites plain text secrets in place, comments kept, safe against a crash at any step. */
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { readEnvironment } from '../../kernel/config/environment.js';
import { loadDraft, type ConfigDraft } from '../../kernel/config/load-config.js';
import { parseYaml } from '../../kernel/config/yaml.js';
import { isSealed } from '../../kernel/secrets/envelope.js';
import { AUTH_SECRET, openKeyring, type SecretPlace } from '../../kernel/secrets/keyring.js';
import { replaceFile, syncDirectory } from '../atomic-file.js';
import { CommandFailure, EXIT } from '../failures.js';
import { configFileOf, type ConfigOption } from '../session.js';
import { say } from '../terminal.js';
import { replaceScalars, type Replacement, type YamlPath } from '../yaml-edit.js';

export interface FoundSecret {
  readonly path: YamlPath;
  readonly text: string;
  readonly place: SecretPlace;
}

export async function encrypt(options: ConfigOption): Promise<void> {
  const draft = await loadDraft(configFileOf(options), readEnvironment());
  const files = await secretsOf(draft);
  await makeKeyOnce(
    draft,
    files.flatMap(({ secrets }) => secrets).some(({ text }) => isSealed(text)),
  );
  const keyring = await openKeyring(draft.config.secrets);
  for (const { file, secrets } of files) {
    const plain = secrets.filter(({ text }) => !isSealed(text));
    await rewrite(file, plain, ({ text, place }) => keyring.seal(text, place.accountId, place.field));
    say(`${file}: ${plain.length} secrets encrypted, ${secrets.length - plain.length} were already`);
  }
}

export async function rewrite(
  file: string,
  found: readonly FoundSecret[],
  change: (secret: FoundSecret) => Promise<string>,
): Promise<void> {
  if (found.length === 0) return;
  const replacements: Replacement[] = [];
  for (const secret of found) replacements.push({ path: secret.path, value: await change(secret) });
  await replaceFile(file, replaceScalars(file, await readFile(file, 'utf8'), replacements), 0o600);
}

/** A key file that is named and not there is made, unless something is sealed already: then its key was lost. */
async function makeKeyOnce({ config }: ConfigDraft, sealedAlready: boolean): Promise<void> {
  const { keyFile, keyFd, passphraseFile } = config.secrets;
  if (keyFile === undefined && keyFd === undefined && passphraseFile === undefined)
    throw new CommandFailure('set secrets.key_file first: encrypt makes the file if it does not exist', EXIT.invalid);
  if (keyFile === undefined || existsSync(keyFile)) return;
  if (sealedAlready) throw new CommandFailure(`${keyFile} is missing and holds the key of secrets already encrypted`);
  const handle = await open(keyFile, 'wx', 0o600);
  await handle.writeFile(newKey());
  await handle.sync();
  await handle.close();
  await syncDirectory(dirname(keyFile));
  say(`${keyFile}: a new key was made; keep a copy of it somewhere else`);
}

export function newKey(): string {
  return `${randomBytes(32).toString('base64')}\n`;
}

/** The secrets that stand in each file, as they stand there. */
export async function secretsOf(
  draft: ConfigDraft,
): Promise<readonly { file: string; secrets: readonly FoundSecret[] }[]> {
  const files = [...new Set([draft.path, draft.accountsPath])];
  return Promise.all(
    files.map(async (file) => ({ file, secrets: secretsIn(parseYaml(file, await readFile(file, 'utf8'))) })),
  );
}

function secretsIn(document: unknown): readonly FoundSecret[] {
  const root = (document ?? {}) as {
    readonly auth?: { readonly secret?: string };
    readonly master_account?: Readonly<Record<string, unknown>>;
    readonly trading_accounts?: readonly Readonly<Record<string, unknown>>[];
  };
  const found: FoundSecret[] = [];
  const text = root.auth?.secret;
  if (typeof text === 'string') found.push({ path: ['auth', 'secret'], text, place: AUTH_SECRET });
  const add = (owner: Readonly<Record<string, unknown>>, path: YamlPath, accountId: string): void => {
    for (const field of ['api_key', 'secret_key']) {
      const value = owner[field];
      if (typeof value === 'string') found.push({ path: [...path, field], text: value, place: { accountId, field } });
    }
  };
  if (root.master_account !== undefined) add(root.master_account, ['master_account'], 'master');
  root.trading_accounts?.forEach((account, index) => {
    add(account, ['trading_accounts', index], String(account['account_id']));
  });
  return found;
}
