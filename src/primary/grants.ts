/**
 * Opens secrets at the moment of a grant, for the one worker that will own the account, and keeps none. Workers get the
 * configuration without any account's secret, and with the files that every worker must have alike: a certificate that is
 * replaced on the disk counts with the next reload, not with the next worker.
 */
import { readFile } from 'node:fs/promises';
import type { AuthPolicy } from '../kernel/auth/auth-policy.js';
import { keyProblems, type NamedKeys } from '../kernel/config/broker-checks.js';
import { namedKeys, operatorTls } from '../kernel/config/checks.js';
import type { AccountCredentials, GatewayConfig, IdNamespaces, TlsConfig } from '../kernel/config/gateway-config.js';
import { configInvalid } from '../kernel/config/problems.js';
import { withPem } from '../kernel/config/tls-files.js';
import { MASTER_ACCOUNT_ID, type AccountId } from '../kernel/domain/identifiers.js';
import type { AccountGrant } from '../kernel/ipc/control.js';
import type { Assignment } from '../kernel/ipc/ownership.js';
import { AUTH_SECRET, openKeyring, type Keyring } from '../kernel/secrets/keyring.js';

export class Grants {
  readonly #byId: ReadonlyMap<AccountId, AccountCredentials>;

  private constructor(
    readonly config: GatewayConfig,
    private readonly keyring: Keyring,
    /** What workers may know: no account's secret; the token secret opened, because every worker verifies. */
    readonly workerConfig: GatewayConfig,
    /** HTTPS of the operator's door; undefined where it is plain HTTP on loopback, or a Unix socket. */
    readonly operatorTls: TlsConfig | undefined,
  ) {
    const all = [config.masterAccount, ...config.tradingAccounts];
    this.#byId = new Map(all.map((account) => [account.accountId, account]));
  }

  /**
   * Opens the token secret and every account's once, so that a wrong key refuses the whole.
   * @throws GatewayError SECRET_INVALID, CONFIG_INVALID
   */
  static async open(config: GatewayConfig): Promise<Grants> {
    const keyring = await openKeyring(config.secrets);
    const { auth, server } = config;
    const opened = auth.secret === undefined ? undefined : await keyring.reveal(auth.secret, AUTH_SECRET);
    const publicKeyPem = auth.publicKeyFile === undefined ? undefined : await readFile(auth.publicKeyFile, 'utf8');
    const workerConfig: GatewayConfig = {
      ...config,
      server: { ...server, ...(server.tls !== undefined && { tls: await withPem('server.tls', server.tls) }) },
      auth: {
        ...auth,
        ...(opened !== undefined && { secret: opened }),
        ...(publicKeyPem !== undefined && { publicKeyPem }),
      },
      masterAccount: withoutSecrets(config.masterAccount),
      tradingAccounts: config.tradingAccounts.map(withoutSecrets),
    };
    const tls = operatorTls(config);
    const ofOperator = tls === undefined ? undefined : await withPem('admin.tls', tls);
    const grants = new Grants(config, keyring, workerConfig, ofOperator);
    const pairs: NamedKeys[] = [];
    for (const named of namedKeys(config)) pairs.push({ ...named, ...(await openedKeys(keyring, named)) });
    const problems = keyProblems(pairs);
    if (problems.length > 0) throw configInvalid(config.sourceFiles[0] ?? '', problems);
    return grants;
  }

  /** The same, with what workers derive client order ids from. */
  under(idNamespaces: IdNamespaces): Grants {
    const { config, keyring, workerConfig } = this;
    const orders = { ...workerConfig.orders, idNamespaces };
    return new Grants(config, keyring, { ...workerConfig, orders }, this.operatorTls);
  }

  /** What a token must satisfy at the operator's door: an audience of its own, when one is configured. */
  get operatorPolicy(): AuthPolicy {
    const { admin, auth } = this.workerConfig;
    return admin.audience === undefined ? auth : { ...auth, audience: admin.audience };
  }

  /** The files that a change of should reload. */
  files(): readonly string[] {
    const { sourceFiles, auth, secrets, server } = this.config;
    const named = [server.tls, this.operatorTls].flatMap((tls) => [tls?.certFile, tls?.keyFile, tls?.clientCaFile]);
    const { keyFile, passphraseFile, previousKeyFile } = secrets;
    const all = [...sourceFiles, ...named, auth.publicKeyFile, keyFile, passphraseFile, previousKeyFile];
    return [...new Set(all.filter((file) => file !== undefined))];
  }

  accountIds(): readonly AccountId[] {
    return [...this.#byId.keys()];
  }

  async for(assignments: readonly Assignment[]): Promise<readonly AccountGrant[]> {
    const grants: AccountGrant[] = [];
    for (const { accountId, epoch } of assignments) {
      const account = this.#byId.get(accountId);
      if (account !== undefined) grants.push(await this.#grant(account, epoch));
    }
    return grants;
  }

  async #grant(account: AccountCredentials, epoch: number): Promise<AccountGrant> {
    const grant = await this.#open(account, epoch);
    if (account.accountId !== MASTER_ACCOUNT_ID) return grant;
    const standIns: AccountGrant[] = [];
    for (const id of this.config.marketData.fallbackAccounts) {
      const standIn = this.#byId.get(id);
      if (standIn !== undefined) standIns.push(await this.#open(standIn, epoch));
    }
    return { ...grant, standIns };
  }

  async #open(account: AccountCredentials, epoch: number): Promise<AccountGrant> {
    const { accountId, paperTrading } = account;
    return { accountId, epoch, paperTrading, ...(await openedKeys(this.keyring, account)) };
  }
}

async function openedKeys(
  keyring: Keyring,
  { accountId, apiKey, secretKey }: Pick<AccountCredentials, 'accountId' | 'apiKey' | 'secretKey'>,
): Promise<{ readonly apiKey: string; readonly secretKey: string }> {
  return {
    apiKey: await keyring.reveal(apiKey, { accountId, field: 'api_key' }),
    secretKey: await keyring.reveal(secretKey, { accountId, field: 'secret_key' }),
  };
}

function withoutSecrets(account: AccountCredentials): AccountCredentials {
  return { ...account, apiKey: '', secretKey: '' };
}
