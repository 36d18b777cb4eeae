import { afterEach, expect, test } from '@jest/globals';
import { loadConfig } from '../../../src/kernel/config/load-config.js';
import type { ConfigProblem } from '../../../src/kernel/config/problems.js';
import { GatewayError } from '../../../src/kernel/domain/errors.js';
import { aConfig, configDirectory, type ConfigDirectory } from '../../support/config-files.js';

let made: ConfigDirectory | undefined;

afterEach(async () => {
  await made?.remove();
  made = undefined;
});

async function problemsOf(yaml: string, environment: Record<string, string> = {}): Promise<readonly ConfigProblem[]> {
  made = await configDirectory(yaml);
  try {
    await loadConfig(made.file, environment);
    return [];
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return error.facts['problems'] as readonly ConfigProblem[];
  }
}

async function load(yaml: string, environment: Record<string, string> = {}): ReturnType<typeof loadConfig> {
  made = await configDirectory(yaml);
  return loadConfig(made.file, environment);
}

test('an unknown key is refused with the name it resembles', async () => {
  const problems = await problemsOf(aConfig({ more: 'server: { prot: 8090 }\nmarket_dta: {}' }));

  expect(problems).toContainEqual({ path: 'server.prot', reason: 'unknown key', nearest: 'port' });
  expect(problems).toContainEqual({ path: 'market_dta', reason: 'unknown key', nearest: 'market_data' });
});

test('a duplicate account id is refused and named with both places', async () => {
  const yaml = aConfig({ accounts: 2 }).replace('account_002', 'account_001');

  const [problem] = await problemsOf(yaml);

  expect(problem?.path).toBe('trading_accounts[1].account_id');
  expect(problem?.reason).toMatch(/duplicate account id account_001/);
});

test.each([
  ['a missing HS256 secret', 'auth: { secret: "S" }\n', '', 'auth.secret'],
  ['a short HS256 secret', /secret: "[0-9a-f]+"/, 'secret: "short"', 'auth.secret'],
  ['a missing api key', /api_key: "K[0-9a-f]+", /, '', 'master_account.api_key'],
])('%s is refused', async (_, find, put, path) => {
  const yaml = aConfig({ secret: find === 'auth: { secret: "S" }\n' ? 'S' : 'x'.repeat(32).replace(/x/g, 'a') });

  const problems = await problemsOf(yaml.replace(find, put));

  expect(problems.map((problem) => problem.path)).toContain(path);
});

test('an account id that YAML reads as a number is refused: 012 would become 12', async () => {
  const problems = await problemsOf(aConfig().replace('"account_001"', '012'));

  expect(problems).toEqual([{ path: 'trading_accounts[0].account_id', reason: 'must be text: put it in quotes' }]);
});

test.each([
  ['a half-written file', 'server: { host: 127.0.0.1'],
  ['a doubled key', `${aConfig()}log: { level: info }\nlog: { level: warn }\n`],
  ['an alias', `${aConfig()}log: &log { level: info }\nstreams: *log\n`],
  ['a list', '- 1'],
  ['bytes that are no text', '\u0000'],
])('%s is refused', async (_, yaml) => {
  expect((await problemsOf(yaml)).length).toBeGreaterThan(0);
});

test('a file that does not exist is refused in one line', async () => {
  await expect(loadConfig('/nowhere/opitios.yaml', {})).rejects.toThrow(/^\/nowhere\/opitios.yaml: does not exist$/);
});

test('no refusal repeats a secret', async () => {
  const yaml = aConfig({ secret: 'CANARY-secret' }).replace(/api_key: "/, 'api_key: 5, secret_key2: "CANARY-');
  made = await configDirectory(yaml);

  const error: unknown = await loadConfig(made.file, {}).catch((cause: unknown) => cause);

  expect(error).toBeInstanceOf(GatewayError);
  expect(JSON.stringify([(error as GatewayError).facts, String(error)])).not.toContain('CANARY');
});

test('plain text secrets are refused off loopback even where they are allowed by name', async () => {
  const problems = await problemsOf(
    aConfig({ more: 'server: { host: 0.0.0.0 }\nsecrets: { allow_plain_text: true }' }),
  );

  expect(problems.map((problem) => problem.reason).join()).toMatch(/plain text \(and 4 more\)/);
});

test('plain text secrets in production on loopback need their allowance', async () => {
  const production = { NODE_ENV: 'production' };

  expect(await problemsOf(aConfig(), production)).toHaveLength(1);
  expect(await problemsOf(aConfig({ more: 'secrets: { allow_plain_text: true }' }), production)).toHaveLength(0);
});

test('plain HTTP is refused off loopback', async () => {
  const problems = await problemsOf(aConfig({ more: 'server: { host: "::", require_https: false }' }));

  expect(problems.map((problem) => problem.path)).toContain('server.require_https');
});

test('HS256 never stands beside a public key algorithm', async () => {
  const yaml = aConfig().replace('auth: {', 'auth: { algorithms: [HS256, RS256],');

  expect((await problemsOf(yaml)).map((problem) => problem.path)).toContain('auth.algorithms');
});

test('risk rules and fallbacks for accounts that do not exist are refused', async () => {
  const problems = await problemsOf(
    aConfig({ more: 'risk: { accounts: { account_01: {} } }\nmarket_data: { fallback_accounts: [other] }' }),
  );

  expect(problems).toEqual([
    { path: 'risk.accounts.account_01', reason: 'names no trading account', nearest: 'account_001' },
    { path: 'market_data.fallback_accounts[0]', reason: 'names no trading account' },
  ]);
});

test('every default is applied and every path is relative to the file', async () => {
  const config = await load(aConfig());

  expect(config.server).toEqual({
    host: '127.0.0.1',
    port: 8090,
    trustProxy: false,
    requireHttps: true,
    exposeMetrics: false,
  });
  expect(config.dataDir).toBe(`${made?.directory ?? ''}/data`);
  expect(config.alpaca.endpoints.tradingPaper).toBe('https://paper-api.alpaca.markets');
  expect(config.masterAccount.accountId).toBe('master');
  expect(config.auth).toMatchObject({ algorithms: ['HS256'], clockToleranceS: 5, maxLifetimeS: 31_536_000 });
});

test('the environment sets any key, typed as YAML except where text is wanted', async () => {
  const config = await load(aConfig(), {
    OPITIOS__SERVER__PORT: '9000',
    OPITIOS__SERVER__REQUIRE_HTTPS: 'false',
    OPITIOS__AUTH__SECRET: '1'.repeat(40),
    OPITIOS__RISK__ACCOUNTS__account_001__MAX_ORDER_NOTIONAL: '500.5',
    OPITIOS__ALPACA__ENDPOINTS__DATA: 'http://127.0.0.1:1',
  });

  expect(config.server).toMatchObject({ port: 9000, requireHttps: false });
  expect(config.auth.secret).toBe('1'.repeat(40));
  expect(config.risk.accounts).toEqual({ account_001: { maxOrderNotional: '500.5' } });
  expect(config.alpaca.endpoints.data).toBe('http://127.0.0.1:1');
});

test('an unknown key from the environment is refused as in the file', async () => {
  const problems = await problemsOf(aConfig(), { OPITIOS__SERVER__PROT: '1' });

  expect(problems).toEqual([{ path: 'server.prot', reason: 'unknown key', nearest: 'port' }]);
});

test('accounts may live in a file of their own, not in both', async () => {
  const [auth, ...accounts] = aConfig().split('\n');
  made = await configDirectory(`${auth ?? ''}\naccounts_file: ./accounts.yaml\n`);
  await made.write('accounts.yaml', accounts.join('\n'));

  expect((await loadConfig(made.file, {})).tradingAccounts).toHaveLength(1);

  await made.write('opitios.yaml', `${aConfig()}accounts_file: ./accounts.yaml\n`);
  await expect(loadConfig(made.file, {})).rejects.toThrow(/stands in/);
});

test('amounts written as numbers become the decimals that were written', async () => {
  const config = await load(aConfig({ more: 'risk: { defaults: { max_order_notional: 10000.5 } }' }));

  expect(config.risk.defaults).toEqual({ maxOrderNotional: '10000.5' });
});

test('a thousand accounts load', async () => {
  const config = await load(aConfig({ accounts: 1000 }));

  expect(config.tradingAccounts).toHaveLength(1000);
});

const account = (id: string, key: string, more = ''): string =>
  `  - { account_id: "${id}", api_key: "${key}", secret_key: "s${more}", paper_trading: true }`;

function withAccounts(...lines: readonly string[]): string {
  const [before = ''] = aConfig({ accounts: 1 }).split('trading_accounts:');
  return `${before}trading_accounts:\n${lines.join('\n')}\n`;
}

test('one key pair under two trading accounts is refused with both places', async () => {
  const problems = await problemsOf(withAccounts(account('a', 'PK1'), account('b', 'PK1')));

  expect(problems).toEqual([
    {
      path: 'trading_accounts[1].api_key',
      reason: 'is the key of trading_accounts[0] too: two accounts may not share a key pair',
    },
  ]);
});

test('blanks around keys are refused', async () => {
  const problems = await problemsOf(withAccounts(account('a', ' PK1'), account('b', 'PK2', ' ')));

  expect(problems.map(({ path }) => path)).toEqual(['trading_accounts[0].api_key', 'trading_accounts[1].secret_key']);
});

test.each([
  ['trading_paper', 'https://paper-api.alpaca.markets/v2', 'has a path'],
  ['data', 'https://data.alpaca.markets/v1beta1', 'has a path'],
  ['stream_data', 'wss://stream.data.alpaca.markets/v2/iex', 'has a path'],
  ['stream_trading_live', 'wss://api.alpaca.markets/', 'must end with /stream'],
  ['trading_live', 'http://api.alpaca.markets', 'must be https'],
  ['stream_trading_live', 'ws://api.alpaca.markets/stream', 'must be https'],
  ['trading_live', 'http://broker.example', 'must be https'],
  ['trading_paper', 'http://paper-api.alpaca.markets', 'must be https'],
  ['trading_paper', 'https://user:password@paper-api.alpaca.markets', 'may have no query'],
])('alpaca.endpoints.%s %s is refused', async (name, url, reason) => {
  const problems = await problemsOf(aConfig({ more: `alpaca: { endpoints: { ${name}: "${url}" } }` }));

  expect(problems).toEqual([{ path: `alpaca.endpoints.${name}`, reason: expect.stringContaining(reason) }]);
});

test('the id key stands outside data_dir, and the key before needs one after it', async () => {
  const problems = await problemsOf(
    aConfig({ more: 'data_dir: ./data\norders: { previous_id_key_file: ./data/before.key }' }),
  );

  expect(problems).toEqual(
    expect.arrayContaining([
      { path: 'orders.previous_id_key_file', reason: 'must stand outside data_dir' },
      expect.objectContaining({ path: 'orders.id_key_file' }),
    ]),
  );
});

test('lists of symbols take what the order rules resolve, and nothing else', async () => {
  const good = '["tsla", "BRK.B", "btc/usd", "BTCUSD", "AAPL271217C00100000", "AAPL1271217C00100000"]';
  const bad = '["b0b6dd9d-8b9b-48a9-ba46-b9d54906e415", "BRK-B", "AAPL 1", ""]';

  expect(await problemsOf(aConfig({ more: `risk: { defaults: { deny_symbols: ${good} } }` }))).toEqual([]);
  const problems = await problemsOf(aConfig({ more: `risk: { defaults: { allow_symbols: ${bad} } }` }));
  expect(problems.map(({ path }) => path)).toEqual([0, 1, 2, 3].map((n) => `risk.defaults.allow_symbols[${n}]`));
});
