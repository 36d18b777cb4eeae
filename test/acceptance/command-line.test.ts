/** A broken configuration is told in one line by `opitios check`, and starts nothing. */
import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const program = new URL('../../dist/cli/main.js', import.meta.url).pathname;
const account = { account_id: 'a', api_key: 'k1', secret_key: 's1', paper_trading: true };
const good = {
  server: { host: '127.0.0.1', port: 0, require_https: false },
  auth: { secret: 'x'.repeat(40) },
  master_account: { api_key: 'k', secret_key: 's', paper_trading: true },
  trading_accounts: [account],
};

function check(text: string): { readonly status: number | null; readonly lines: readonly string[] } {
  const dir = mkdtempSync(join(tmpdir(), 'opitios-check-'));
  try {
    const file = join(dir, 'opitios.yaml');
    writeFileSync(file, text, { mode: 0o600 });
    const { status, stderr } = spawnSync(process.execPath, [program, 'check', '--config', file], { encoding: 'utf8' });
    expect(readdirSync(dir)).toEqual(['opitios.yaml']);
    return { status, lines: stderr.trim().split('\n') };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

test('a good configuration passes', () => {
  expect(check(JSON.stringify(good)).status).toBe(0);
});

test.each([
  ['an unknown key', JSON.stringify({ ...good, server: { ...good.server, prot: 1 } }), /server\.prot.*port/],
  ['no YAML', 'server: [', /YAML/],
  ['a short secret', JSON.stringify({ ...good, auth: { secret: 'short' } }), /auth\.secret/],
  ['an account twice', JSON.stringify({ ...good, trading_accounts: [account, account] }), /duplicate account/],
  ['a port out of range', JSON.stringify({ ...good, server: { ...good.server, port: 70_000 } }), /server\.port/],
])('%s is one clear line and exit 2', (_name, text, words) => {
  const { status, lines } = check(text);
  expect([status, lines]).toEqual([2, [expect.stringMatching(words)]]);
});
