/** `opitios accounts list|add|rotate|remove`: edit the accounts, ask the broker first, take effect with the next reload. */
import { readFile } from 'node:fs/promises';
import { readEnvironment } from '../../kernel/config/environment.js';
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import { loadDraft, type ConfigDraft } from '../../kernel/config/load-config.js';
import { isAccountId, MASTER_ACCOUNT_ID } from '../../kernel/domain/identifiers.js';
import { isSealed } from '../../kernel/secrets/envelope.js';
import { openKeyring } from '../../kernel/secrets/keyring.js';
import { replaceFile } from '../atomic-file.js';
import { CommandFailure, EXIT } from '../failures.js';
import { configFileOf, openSession, type ConfigOption } from '../session.js';
import { askHidden, say, warn } from '../terminal.js';
import { appendItem, removeItem, replaceScalars } from '../yaml-edit.js';
import { askBroker } from '../broker-check.js';

export interface AccountOptions extends ConfigOption {
  readonly live?: boolean;
  /** False with --no-verify. */
  readonly verify: boolean;
}

const LIST = 'trading_accounts';

export async function list(options: ConfigOption): Promise<void> {
  const { config } = await openSession(options);
  for (const { accountId, paperTrading, apiKey } of [config.masterAccount, ...config.tradingAccounts])
    say([accountId, paperTrading ? 'paper' : 'live', isSealed(apiKey) ? 'encrypted' : 'plain text'].join('\t'));
}

export async function add(accountId: string, options: AccountOptions): Promise<void> {
  const draft = await loadDraft(configFileOf(options), readEnvironment());
  if (!isAccountId(accountId) || accountId === MASTER_ACCOUNT_ID)
    throw new CommandFailure(`"${accountId}" is no account id: letters, digits, _ and -, at most 64`, EXIT.invalid);
  if (indexOf(draft.config, accountId) !== -1)
    throw new CommandFailure(`there is an account ${accountId} already`, EXIT.invalid);
  const paper = options.live !== true;
  const [apiKey, secretKey] = await askKeys(draft, { accountId, paper, verify: options.verify });
  const item = { account_id: accountId, api_key: apiKey, secret_key: secretKey, paper_trading: paper };
  await edit(draft, (file, text) => appendItem(file, text, LIST, item));
  say(`${draft.accountsPath}: ${accountId} added; "opitios reload" takes it up`);
}

export async function rotate(accountId: string, options: AccountOptions): Promise<void> {
  const draft = await loadDraft(configFileOf(options), readEnvironment());
  const index = existing(draft.config, accountId);
  const account = index === undefined ? draft.config.masterAccount : draft.config.tradingAccounts[index];
  const path = index === undefined ? ['master_account'] : [LIST, index];
  const [apiKey, secretKey] = await askKeys(draft, {
    accountId,
    paper: account?.paperTrading ?? true,
    verify: options.verify,
  });
  await edit(draft, (file, text) =>
    replaceScalars(file, text, [
      { path: [...path, 'api_key'], value: apiKey },
      { path: [...path, 'secret_key'], value: secretKey },
    ]),
  );
  say(`${draft.accountsPath}: the keys of ${accountId} were replaced; "opitios reload" takes them up`);
}

export async function remove(accountId: string, options: ConfigOption): Promise<void> {
  const draft = await loadDraft(configFileOf(options), readEnvironment());
  const index = existing(draft.config, accountId);
  if (index === undefined) throw new CommandFailure('the master account cannot be removed', EXIT.invalid);
  await edit(draft, (file, text) => removeItem(file, text, LIST, index));
  say(`${draft.accountsPath}: ${accountId} removed; "opitios reload" lets it go`);
}

async function edit({ accountsPath }: ConfigDraft, change: (file: string, text: string) => string): Promise<void> {
  await replaceFile(accountsPath, change(accountsPath, await readFile(accountsPath, 'utf8')), 0o600);
}

/** @returns undefined for the master account. */
function existing(config: GatewayConfig, accountId: string): number | undefined {
  if (accountId === MASTER_ACCOUNT_ID) return undefined;
  const index = indexOf(config, accountId);
  if (index === -1) throw new CommandFailure(`there is no account ${accountId}`, EXIT.invalid);
  return index;
}

function indexOf(config: GatewayConfig, accountId: string): number {
  return config.tradingAccounts.findIndex((account) => account.accountId === accountId);
}

/** Sealed where there is a key. The broker is asked before anything is written. */
async function askKeys(
  { config }: ConfigDraft,
  account: { readonly accountId: string; readonly paper: boolean; readonly verify: boolean },
): Promise<readonly [string, string]> {
  const apiKey = await askHidden(`API key id of ${account.accountId}: `);
  const secretKey = await askHidden(`Secret key of ${account.accountId}: `);
  if (apiKey === '' || secretKey === '')
    throw new CommandFailure('no key was given; nothing was changed', EXIT.invalid);
  if (account.verify) {
    const answer = await askBroker(config, { apiKey, secretKey, paperTrading: account.paper });
    if (answer.verdict !== 'good')
      throw new CommandFailure(`the broker ${answer.detail}; nothing was changed (--no-verify skips this question)`);
  }
  const { keyFile, keyFd, passphraseFile } = config.secrets;
  if (keyFile === undefined && keyFd === undefined && passphraseFile === undefined) {
    warn('no secrets.key_file is set: the keys are written as plain text');
    return [apiKey, secretKey];
  }
  const values = [
    { text: apiKey, field: 'api_key' },
    { text: secretKey, field: 'secret_key' },
  ];
  const keyring = await openKeyring(config.secrets);
  const [sealedKey = '', sealedSecret = ''] = await keyring.sealAll(values, account.accountId);
  return [sealedKey, sealedSecret];
}
