import { expect, test } from '@jest/globals';
import { parseYaml } from '../../../src/kernel/config/yaml.js';
import { appendItem, removeItem, replaceScalars } from '../../../src/cli/yaml-edit.js';

const FILE = `# top
auth: { secret: plain-1 } # why
master_account:
  api_key: 'k: #1' # quoted
trading_accounts:
  # the first
  - account_id: "a1"
    api_key: K1   # k
  # the second
  - { account_id: "a2", api_key: "K2" }
log: { level: info }
`;

test('replaced values keep every comment, quote and place around them', () => {
  const edited = replaceScalars('f', FILE, [
    { path: ['auth', 'secret'], value: 'enc:"1"' },
    { path: ['master_account', 'api_key'], value: 'enc:2' },
    { path: ['trading_accounts', 0, 'api_key'], value: 'enc:3' },
    { path: ['trading_accounts', 1, 'api_key'], value: 'enc:4' },
  ]);

  expect(edited).toBe(
    FILE.replace('plain-1', '"enc:\\"1\\""')
      .replace("'k: #1'", '"enc:2"')
      .replace('K1', '"enc:3"')
      .replace('"K2"', '"enc:4"'),
  );
});

test('an account is added after the last one, in its indentation', () => {
  const edited = appendItem('f', FILE, 'trading_accounts', { account_id: 'a3', paper_trading: true });

  expect(edited).toContain('"K2" }\n  - { account_id: "a3", paper_trading: true }\nlog:');
});

test.each([
  ['an empty list', 'trading_accounts: []\nlog: { level: info }\n'],
  ['no list', 'log: { level: info }\n'],
  ['a file without a last newline', 'trading_accounts:\n  - { account_id: "a1" }'],
])('an account is added to %s', (_, text) => {
  const edited = parseYaml('f', appendItem('f', text, 'trading_accounts', { account_id: 'a9' })) as {
    readonly trading_accounts: readonly unknown[];
  };

  expect(edited.trading_accounts.at(-1)).toEqual({ account_id: 'a9' });
});

test('a removed account takes its own lines only', () => {
  const first = removeItem('f', FILE, 'trading_accounts', 0);

  expect(first).toBe(FILE.replace('  - account_id: "a1"\n    api_key: K1   # k\n', ''));
  expect(parseYaml('f', removeItem('f', first, 'trading_accounts', 0))).toMatchObject({ trading_accounts: [] });
});

test.each([
  ['a block text', 'auth:\n  secret: |\n    many\n    lines\n'],
  ['a place that is not there', 'log: {}\n'],
])('%s is not edited by guess', (_, text) => {
  expect(() => replaceScalars('f', text, [{ path: ['auth', 'secret'], value: 'x' }])).toThrow(/nothing was changed/);
});

test('two accounts on one line are not edited by guess', () => {
  const text = 'trading_accounts: [{ account_id: "a1" }, { account_id: "a2" }]\n';

  expect(() => removeItem('f', text, 'trading_accounts', 0)).toThrow();
});
