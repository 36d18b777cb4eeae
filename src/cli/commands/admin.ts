/**
 * `status`, `halt`, `resume`, `reload`, `restart`: ask the running primary over its operator door. `profile` asks a worker, over
 * the client door: it is a worker that is profiled.
 */
import { MASTER_ACCOUNT_ID } from '../../kernel/domain/identifiers.js';
import { callGateway, clientDoor, operatorDoor, type DoorPlace, type GatewayCall } from '../call-gateway.js';
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

export async function profile(options: AdminOptions): Promise<void> {
  const session = await openSession(options);
  const token = options.token ?? (await localToken(session, CLAIMS));
  await show(clientDoor(session.config), { method: 'POST', path: '/admin/profile', token });
}

function tradingPath({ account }: AdminOptions, verb: string): string {
  if (account === MASTER_ACCOUNT_ID) throw new CommandFailure('the master account does not trade', EXIT.invalid);
  return account === undefined ? `/admin/${verb}` : `/admin/accounts/${encodeURIComponent(account)}/${verb}`;
}

const CLAIMS = {
  subject: 'opitios-cli',
  permissions: ['admin'],
  accounts: '*',
  lifetimeS: TOKEN_LIFETIME_S,
} as const;

async function ask(options: AdminOptions, method: 'GET' | 'POST', path: string, body?: unknown): Promise<void> {
  const session = await openSession(options);
  const { audience } = session.config.admin;
  const claims = audience === undefined ? CLAIMS : { ...CLAIMS, audience };
  const token = options.token ?? (await localToken(session, claims));
  await show(operatorDoor(session.config), { method, path, token, ...(body === undefined ? {} : { body }) });
}

async function show(place: DoorPlace, call: GatewayCall): Promise<void> {
  const { status, text } = await callGateway(place, call);
  if (status >= 300) throw new CommandFailure(`${call.method} ${call.path}: ${status} ${problemOf(text)}`);
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
