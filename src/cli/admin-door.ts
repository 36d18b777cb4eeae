/** The running primary's operator door as the commands use it: with a token signed here, unless one is given. */
import { callGateway, operatorDoor } from './call-gateway.js';
import { localToken } from './commands/token.js';
import { CommandFailure } from './failures.js';
import { openSession, type ConfigOption } from './session.js';

export interface AdminOptions extends ConfigOption {
  /** Instead of a token signed here. */
  readonly token?: string;
}

export interface AdminDoor {
  /** @throws CommandFailure with the gateway's own words, or that it does not answer */
  ask(method: 'GET' | 'POST', path: string, body?: unknown): Promise<string>;
}

const TOKEN_LIFETIME_S = 120;
/** A terminal that watches asks for hours. */
const SIGN_AGAIN_MS = 60_000;

export async function openAdminDoor(options: AdminOptions): Promise<AdminDoor> {
  const session = await openSession(options);
  const { audience } = session.config.admin;
  const claims = {
    subject: 'opitios-cli',
    permissions: ['admin'],
    accounts: '*',
    lifetimeS: TOKEN_LIFETIME_S,
    ...(audience !== undefined && { audience }),
  } as const;
  const place = operatorDoor(session.config);
  let signed: { readonly token: string; readonly at: number } | undefined;
  const token = async (): Promise<string> => {
    if (options.token !== undefined) return options.token;
    if (signed === undefined || Date.now() - signed.at > SIGN_AGAIN_MS)
      signed = { token: await localToken(session, claims), at: Date.now() };
    return signed.token;
  };
  return {
    ask: async (method, path, body) => {
      const call = { method, path, token: await token(), ...(body === undefined ? {} : { body }) };
      const { status, text } = await callGateway(place, call);
      if (status >= 300) throw new CommandFailure(`${method} ${path}: ${status} ${problemOf(text)}`);
      return text;
    },
  };
}

function problemOf(text: string): string {
  try {
    const { title, detail } = JSON.parse(text) as { readonly title?: unknown; readonly detail?: unknown };
    return [title, detail].filter((part) => typeof part === 'string').join(': ');
  } catch {
    return 'without a readable answer';
  }
}
