/** Configuration directories for tests: every secret is made at run time, every file is removed with the directory. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface ConfigDirectory {
  readonly directory: string;
  readonly file: string;
  write(name: string, text: string, mode?: number): Promise<string>;
  remove(): Promise<void>;
}

/** A directory with an empty opitios.yaml, to be written by the test. */
export async function configDirectory(yaml = ''): Promise<ConfigDirectory> {
  const directory = await mkdtemp(join(tmpdir(), 'opitios-config-'));
  const write = async (name: string, text: string, mode = 0o600): Promise<string> => {
    await writeFile(join(directory, name), text, { mode });
    return join(directory, name);
  };
  return {
    directory,
    file: await write('opitios.yaml', yaml),
    write,
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

export interface YamlParts {
  readonly accounts?: number;
  readonly secret?: string;
  /** Appended as it is. */
  readonly more?: string;
}

/** A complete configuration on loopback. */
export function aConfig({ accounts = 1, secret = randomBytes(24).toString('hex'), more = '' }: YamlParts = {}): string {
  const list = Array.from({ length: accounts }, (_, index) => {
    const id = `account_${String(index + 1).padStart(3, '0')}`;
    return `  - { account_id: "${id}", api_key: "${key()}", secret_key: "${key()}", paper_trading: true }`;
  });
  return [
    `auth: { secret: "${secret}" }`,
    `master_account: { api_key: "${key()}", secret_key: "${key()}" }`,
    'trading_accounts:',
    ...list,
    more,
    '',
  ].join('\n');
}

function key(): string {
  return `K${randomBytes(12).toString('hex')}`;
}
