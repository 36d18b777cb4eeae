/**
 * Rules on what leads to the broker: endpoints, and the key pairs of accounts. Sealed values are judged where they are
 * opened (`keyProblems` of the opened ones), plain ones with the rest of the file.
 */
import type { AccountId } from '../domain/identifiers.js';
import type { AlpacaConfig } from './gateway-config.js';
import type { ConfigProblem } from './problems.js';
import { isLoopback } from './loopback.js';

/** A key pair as it is sent to the broker, with the path where it stands. */
export interface NamedKeys {
  readonly path: string;
  readonly accountId: AccountId;
  readonly apiKey: string;
  readonly secretKey: string;
  readonly paperTrading: boolean;
  /** The master may share its pair with a trading account; two trading accounts may not share one. */
  readonly isTrading: boolean;
}

/** The broker's own marks of a key id: the first for paper accounts, the second for live ones. */
const PAPER_KEY = /^PK/;
const LIVE_KEY = /^AK/;

export function keyProblems(accounts: readonly NamedKeys[]): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = [];
  const firstOf = new Map<string, { readonly path: string; readonly accountId: AccountId }>();
  for (const { path, accountId, apiKey, secretKey, isTrading } of accounts) {
    for (const [name, value] of [
      ['api_key', apiKey],
      ['secret_key', secretKey],
    ] as const) {
      if (value !== value.trim()) problems.push({ path: `${path}.${name}`, reason: 'begins or ends with a blank' });
    }
    if (!isTrading) continue;
    const key = apiKey.trim();
    const first = firstOf.get(key);
    if (first === undefined) firstOf.set(key, { path, accountId });
    // An account that stands there twice is named for its id.
    else if (first.accountId !== accountId)
      problems.push({
        path: `${path}.api_key`,
        reason: `is the key of ${first.path} too: two accounts may not share a key pair`,
      });
  }
  return problems;
}

/** Keys that the broker marks as of the other kind of account. It would refuse them, and not say why. */
export function keyWarnings(accounts: readonly NamedKeys[]): readonly ConfigProblem[] {
  return accounts.flatMap(({ path, apiKey, paperTrading }) => {
    const isWrong = paperTrading ? LIVE_KEY.test(apiKey) : PAPER_KEY.test(apiKey);
    if (!isWrong) return [];
    const [is, asks] = paperTrading ? ['a live', 'true'] : ['a paper', 'false'];
    return [{ path: `${path}.api_key`, reason: `looks like the key of ${is} account, and paper_trading is ${asks}` }];
  });
}

const BROKER_DOMAIN = /(?:^|\.)alpaca\.markets$/i;

/** Which endpoints carry the keys of live accounts; the data hosts carry the master's, whatever it is. */
const LIVE_ENDPOINTS: ReadonlySet<keyof AlpacaConfig['endpoints']> = new Set([
  'tradingLive',
  'streamTradingLive',
  'data',
  'streamData',
]);

const ENDPOINTS = {
  tradingPaper: 'trading_paper',
  tradingLive: 'trading_live',
  data: 'data',
  streamTradingPaper: 'stream_trading_paper',
  streamTradingLive: 'stream_trading_live',
  streamData: 'stream_data',
} as const;

/** The gateway adds the paths itself: one that stands in the endpoint would be sent twice. */
export function endpointProblems({ endpoints }: AlpacaConfig): readonly ConfigProblem[] {
  return Object.entries(ENDPOINTS).flatMap(([member, key]): readonly ConfigProblem[] => {
    const name = member as keyof typeof ENDPOINTS;
    const url = new URL(endpoints[name]);
    const path = `alpaca.endpoints.${key}`;
    const problems: ConfigProblem[] = [];
    const paths = name.startsWith('streamTrading') ? ['/stream'] : ['', '/'];
    if (!paths.includes(url.pathname))
      problems.push({
        path,
        reason: paths.includes('/stream') ? 'must end with /stream' : 'has a path: give scheme and host alone',
      });
    if (url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '')
      problems.push({ path, reason: 'may have no query, fragment, user or password' });
    const isPlain = url.protocol === 'http:' || url.protocol === 'ws:';
    const mustBeSecure = LIVE_ENDPOINTS.has(name) || BROKER_DOMAIN.test(url.hostname);
    if (isPlain && mustBeSecure && !isLoopback(url.hostname.replace(/^\[|\]$/g, '')))
      problems.push({ path, reason: 'must be https or wss: keys of live accounts are sent there' });
    return problems;
  });
}
