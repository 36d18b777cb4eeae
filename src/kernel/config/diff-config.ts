/** What a reload changes, for the log, the audit and the decision whether it can be done without a restart. No values. */
import type { AccountCredentials, GatewayConfig } from './gateway-config.js';
import { isMapping } from './yaml.js';

export interface ConfigDiff {
  /** Paths in the compiled configuration's spelling: `log.level`. Accounts are listed apart. */
  readonly changed: readonly string[];
  /** Those of `changed` that running processes cannot take over. */
  readonly needRestart: readonly string[];
  readonly accountsAdded: readonly string[];
  readonly accountsRemoved: readonly string[];
  /** Same id, other key, secret or kind of account; the master's id is `master`. */
  readonly accountsRotated: readonly string[];
}

/**
 * Read once when processes start. Accounts, keys, auth, secrets, risk, log and what is said of orders are taken over at
 * once; `server`, `admin`, `cluster` and `dataDir` belong to the whole gateway, the others to each worker.
 */
const RESTART =
  /^(?:server|admin|cluster|dataDir|alpaca|limits|streams|telemetry|orders\.keepKeysDays|marketData\.(?!fallbackAccounts))(?:\.|$|\w)/;

export function diffConfig(before: GatewayConfig, after: GatewayConfig): ConfigDiff {
  const { masterAccount: oldMaster, tradingAccounts: oldAccounts, ...oldRest } = before;
  const { masterAccount: newMaster, tradingAccounts: newAccounts, ...newRest } = after;
  // Where it was read is no setting.
  const changed = changes(oldRest, newRest, '').filter((path) => !path.startsWith('sourceFiles'));
  const oldById = byId([oldMaster, ...oldAccounts]);
  const newById = byId([newMaster, ...newAccounts]);
  return {
    changed,
    needRestart: changed.filter((path) => RESTART.test(path)),
    accountsAdded: [...newById.keys()].filter((id) => !oldById.has(id)),
    accountsRemoved: [...oldById.keys()].filter((id) => !newById.has(id)),
    accountsRotated: [...newById.keys()].filter((id) => {
      const old = oldById.get(id);
      return old !== undefined && !same(old, newById.get(id));
    }),
  };
}

function byId(accounts: readonly AccountCredentials[]): ReadonlyMap<string, AccountCredentials> {
  return new Map(accounts.map((account) => [account.accountId, account]));
}

function changes(before: unknown, after: unknown, path: string): readonly string[] {
  if (same(before, after)) return [];
  if (!isMapping(before) || !isMapping(after)) return [path];
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  return names.flatMap((name) => changes(before[name], after[name], path === '' ? name : `${path}.${name}`));
}

/** Both were compiled by the same code: equal values have their members in the same order. */
function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
