/** `status`, `halt`, `resume`, `reload`, `restart`, `profile`: ask the running primary over its operator door. */
import { MASTER_ACCOUNT_ID } from '../../kernel/domain/identifiers.js';
import { CommandFailure, EXIT } from '../failures.js';
import { openSession, type ConfigOption } from '../session.js';
import { say } from '../terminal.js';
import { localToken } from './token.js';

export interface AdminOptions extends ConfigOption {
  readonly account?: string;
  readonly reason?: string;
  /** Instead of a token signed here. */
  readonly token?: string;
}

const DEADLINE_MS = 60_000;
const TOKEN_LIFETIME_S = 120;

export function status(options: AdminOptions): Promise<void> {
  return ask(options, 'GET', '/pool');
}

export function halt(options: AdminOptions): Promise<void> {
  return ask(options, 'POST', tradingPath(options, 'halt'), { reason: options.reason ?? 'opitios halt' });
}

export function resume(options: AdminOptions): Promise<void> {
  return ask(options, 'POST', tradingPath(options, 'resume'), { reason: options.reason ?? 'opitios resume' });
}

export function reload(options: AdminOptions): Promise<void> {
  return ask(options, 'POST', '/admin/reload', {});
}

export function restart(options: AdminOptions): Promise<void> {
  return ask(options, 'POST', '/admin/restart', {});
}

export function profile(options: AdminOptions): Promise<void> {
  return ask(options, 'POST', '/admin/profile', {});
}

function tradingPath({ account }: AdminOptions, verb: string): string {
  if (account === MASTER_ACCOUNT_ID) throw new CommandFailure('the master account does not trade', EXIT.invalid);
  return account === undefined ? `/admin/${verb}` : `/admin/accounts/${encodeURIComponent(account)}/${verb}`;
}

async function ask(options: AdminOptions, method: 'GET' | 'POST', path: string, body?: unknown): Promise<void> {
  const session = await openSession(options);
  const { host, port, audience } = session.config.admin;
  const claims = {
    subject: 'opitios-cli',
    permissions: ['admin'],
    accounts: '*',
    lifetimeS: TOKEN_LIFETIME_S,
  } as const;
  const token = options.token ?? (await localToken(session, audience === undefined ? claims : { ...claims, audience }));
  const address = `http://${host.includes(':') ? `[${host}]` : host}:${port}/api/v1${path}`;
  const response = await fetch(address, {
    method,
    redirect: 'error',
    signal: AbortSignal.timeout(DEADLINE_MS),
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  }).catch((cause: unknown) => {
    const why = cause instanceof Error && cause.name === 'TimeoutError' ? 'did not answer in time' : 'does not answer';
    throw new CommandFailure(`the gateway at ${host}:${port} ${why}: is it running?`);
  });
  const text = await response.text();
  if (!response.ok) throw new CommandFailure(`${method} ${path}: ${response.status} ${problemOf(text)}`);
  say(pretty(text));
}

function problemOf(text: string): string {
  try {
    const { title, detail } = JSON.parse(text) as { readonly title?: unknown; readonly detail?: unknown };
    return [title, detail].filter((part) => typeof part === 'string').join(': ');
  } catch {
    return 'without a readable answer';
  }
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}
