/** `halt`, `resume`, `reload`, `restart`, `profile`: ask the running primary over its operator door. */
import { writeFile } from 'node:fs/promises';
import { MASTER_ACCOUNT_ID } from '../../kernel/domain/identifiers.js';
import { CommandFailure, EXIT } from '../failures.js';
import { openAdminDoor, type AdminOptions as DoorOptions } from '../admin-door.js';
import { say } from '../terminal.js';

export interface AdminOptions extends DoorOptions {
  readonly account?: string;
  readonly reason?: string;
}

export function halt(options: AdminOptions): Promise<void> {
  return ask(options, tradingPath(options, 'halt'), { reason: options.reason ?? 'opitios halt' });
}

export function resume(options: AdminOptions): Promise<void> {
  return ask(options, tradingPath(options, 'resume'), { reason: options.reason ?? 'opitios resume' });
}

export function reload(options: AdminOptions): Promise<void> {
  return ask(options, '/admin/reload', {});
}

export function restart(options: AdminOptions): Promise<void> {
  return ask(options, '/admin/restart', {});
}

export interface ProfileOptions extends AdminOptions {
  readonly worker?: string;
  readonly kind: string;
  readonly seconds: string;
  readonly output?: string;
}

export async function profile(options: ProfileOptions): Promise<void> {
  const { worker, kind, seconds } = options;
  const file = options.output ?? `worker-${worker ?? '0'}.${kind}profile`;
  const body = { ...(worker !== undefined && { worker: Number(worker) }), kind, seconds: Number(seconds) };
  const text = await (await openAdminDoor(options)).ask('POST', '/admin/profile', body);
  await writeFile(file, text, { mode: 0o600 });
  say(`${file}: ${text.length} bytes, for the Performance or Memory page of the browser tools`);
}

function tradingPath({ account }: AdminOptions, verb: string): string {
  if (account === MASTER_ACCOUNT_ID) throw new CommandFailure('the master account does not trade', EXIT.invalid);
  return account === undefined ? `/admin/${verb}` : `/admin/accounts/${encodeURIComponent(account)}/${verb}`;
}

async function ask(options: AdminOptions, path: string, body: unknown): Promise<void> {
  const door = await openAdminDoor(options);
  say(pretty(await door.ask('POST', path, body)));
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), undefined, 2);
  } catch {
    return text;
  }
}
