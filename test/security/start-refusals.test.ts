/** Unsafe secrets and transports do not start: exit code 2, one line that names the key, no process and no file left. */
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openKeyring } from '../../src/kernel/secrets/keyring.js';
import { makeCertificate } from '../support/certificates.js';

const PROGRAMS = {
  'opitios serve': (file: string) => [programIn('cli'), 'serve', '--config', file],
  'the primary': (file: string) => [programIn('primary'), '--config', file],
};

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'opitios-start-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function programIn(part: string): string {
  return new URL(`../../dist/${part}/main.js`, import.meta.url).pathname;
}

function writeKey(name: string): string {
  const file = join(directory, name);
  writeFileSync(file, randomBytes(32).toString('base64'), { mode: 0o600 });
  return file;
}

interface Draft {
  server: Record<string, unknown>;
  secrets?: Record<string, unknown>;
  master_account: Record<string, unknown>;
  trading_accounts: Record<string, unknown>[];
  [section: string]: unknown;
}

/** Sealed under `opitios.key`, on loopback, with no broker behind it: it would start. */
async function aDraft(): Promise<Draft> {
  const keyFile = writeKey('opitios.key');
  const keyring = await openKeyring({ keyFile });
  const keysOf = async (id: string): Promise<Record<string, unknown>> => ({
    api_key: await keyring.seal(`K${randomBytes(9).toString('hex')}`, id, 'api_key'),
    secret_key: await keyring.seal(randomBytes(20).toString('hex'), id, 'secret_key'),
    paper_trading: true,
  });
  return {
    server: { host: '127.0.0.1', port: 0, require_https: false },
    admin: { host: '127.0.0.1', port: 0 },
    auth: { secret: await keyring.seal(randomBytes(32).toString('hex'), 'gateway:auth', 'secret') },
    secrets: { key_file: keyFile },
    data_dir: './data',
    master_account: await keysOf('master'),
    trading_accounts: [
      { account_id: 'one', ...(await keysOf('one')) },
      { account_id: 'two', ...(await keysOf('two')) },
    ],
  };
}

function certificate(name: string, mode = 0o600): { readonly cert_file: string; readonly key_file: string } {
  const [cert_file, key_file] = [`${name}.crt`, `${name}.key`].map((file) => join(directory, file)) as [string, string];
  makeCertificate({ name, certFile: cert_file, keyFile: key_file });
  chmodSync(key_file, mode);
  return { cert_file, key_file };
}

const CASES: readonly (readonly [name: string, edit: (draft: Draft) => void, said: RegExp])[] = [
  ['another key', (draft) => (draft.secrets = { key_file: writeKey('other.key') }), /cannot be opened|opens/],
  [
    'a key file that others may read',
    () => chmodSync(join(directory, 'opitios.key'), 0o644),
    /opitios\.key.*0644.*0600/,
  ],
  ['no key', (draft) => delete draft.secrets, /secrets\.key_file: is missing/],
  [
    'a secret moved from another account',
    (draft) => (draft.trading_accounts[0] = { ...draft.trading_accounts[1], account_id: 'one' }),
    /cannot be opened|opens/,
  ],
  [
    'plain text off loopback',
    (draft) => {
      draft.server = { host: '0.0.0.0', port: 0 };
      draft.master_account['api_key'] = 'PLAINTEXTKEY';
    },
    /master_account\.api_key: is plain text/,
  ],
  [
    'plain HTTP off loopback',
    (draft) => (draft.server = { host: '0.0.0.0', port: 0, require_https: false }),
    /server\.require_https: may be false only/,
  ],
  [
    'an operator’s door off loopback over plain HTTP',
    (draft) => (draft['admin'] = { host: '0.0.0.0', port: 0 }),
    /admin\.host: is no loopback address: set admin\.tls or server\.tls/,
  ],
  [
    'a TLS key that others may read',
    (draft) => (draft.server['tls'] = certificate('one', 0o640)),
    /server\.tls\.key_file: .*one\.key has mode 0640: it must be 0600/,
  ],
  [
    'a certificate that belongs to another key',
    (draft) => (draft['admin'] = { port: 0, tls: { ...certificate('one'), cert_file: certificate('two').cert_file } }),
    /admin\.tls: the certificate and the private key are no pair/,
  ],
];

test.each(
  CASES.map(
    ([name, edit, said], index) =>
      ({ name, edit, said, by: index % 2 === 0 ? 'opitios serve' : 'the primary' }) as const,
  ),
)('$by refuses $name with exit code 2 in one line, and leaves nothing', async ({ edit, said, by }) => {
  const draft = await aDraft();
  edit(draft);
  const file = join(directory, 'opitios.yaml');
  writeFileSync(file, JSON.stringify(draft), { mode: 0o600 });

  const done = spawnSync(process.execPath, PROGRAMS[by](file), { encoding: 'utf8', timeout: 20_000 });

  expect(done.stderr.trim().split('\n')).toHaveLength(1);
  expect(done.stderr).toMatch(said);
  expect(done.stderr).not.toContain('PLAINTEXTKEY');
  expect(done.status).toBe(2);
  expect(done.stdout).toBe('');
  expect(existsSync(join(directory, 'data'))).toBe(false);
});
