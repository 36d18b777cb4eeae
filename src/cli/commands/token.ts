/** `opitios token`: signs a token for local use with the configured HS256 secret. */
import { randomUUID } from 'node:crypto';
import { signToken } from '../../kernel/auth/sign-token.js';
import { isAccountId } from '../../kernel/domain/identifiers.js';
import { PERMISSIONS, RESERVED_SUBJECTS, type Permission } from '../../kernel/domain/permissions.js';
import { SystemClock } from '../../kernel/runtime/system-clock.js';
import { CommandFailure, EXIT } from '../failures.js';
import { authSecret, openSession, type ConfigOption, type Session } from '../session.js';
import { say } from '../terminal.js';

export interface TokenOptions extends ConfigOption {
  readonly subject: string;
  readonly permissions: string;
  readonly accounts?: string;
  readonly expires: string;
}

export async function token(options: TokenOptions): Promise<void> {
  const session = await openSession(options);
  say(
    await localToken(session, {
      subject: options.subject,
      permissions: permissionsOf(options.permissions),
      accounts: accountsOf(options.accounts, session),
      lifetimeS: secondsOf(options.expires, session.config.auth.maxLifetimeS),
    }),
  );
}

export interface LocalToken {
  readonly subject: string;
  readonly permissions: readonly Permission[];
  readonly accounts: '*' | readonly string[];
  readonly lifetimeS: number;
  readonly audience?: string | undefined;
}

/** @throws CommandFailure where the gateway checks tokens by a public key: only the issuer can sign those. */
export async function localToken(session: Session, request: LocalToken): Promise<string> {
  if (RESERVED_SUBJECTS.has(request.subject))
    throw new CommandFailure(`--subject: "${request.subject}" is reserved for the gateway itself`, EXIT.invalid);
  const secret = await authSecret(session);
  if (secret === undefined)
    throw new CommandFailure('tokens are checked by a public key here: only their issuer can sign one', EXIT.invalid);
  const { issuer, audience } = session.config.auth;
  const issuedAtS = new SystemClock().now() / 1000;
  return signToken({ audience, ...request, secret, issuer, issuedAtS, tokenId: randomUUID() });
}

function permissionsOf(text: string): readonly Permission[] {
  // None: for whoever only reads metrics.
  const names = text === '' ? [] : text.split(',').map((name) => name.trim());
  const known = names.filter((name): name is Permission => (PERMISSIONS as readonly string[]).includes(name));
  const wrong = names.find((name) => !known.includes(name as Permission));
  if (wrong === undefined) return known;
  throw new CommandFailure(`--permissions: "${wrong}" is none of ${PERMISSIONS.join(', ')}`, EXIT.invalid);
}

function accountsOf(text: string | undefined, { config }: Session): '*' | readonly string[] {
  if (text === undefined || text === '*') return text ?? [];
  const ids = text.split(',').map((id) => id.trim());
  const known = new Set<string>(config.tradingAccounts.map((account) => account.accountId));
  const wrong = ids.find((id) => !isAccountId(id) || !known.has(id));
  if (wrong !== undefined) throw new CommandFailure(`--accounts: there is no account "${wrong}"`, EXIT.invalid);
  return ids;
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

function secondsOf(text: string, max: number): number {
  const [, count = '', unit = 's'] = /^(\d{1,9})([smhd])?$/.exec(text) ?? [];
  const seconds = Number(count) * (UNITS[unit] ?? 1);
  if (seconds < 1) throw new CommandFailure(`--expires: "${text}" is no time such as 30m, 12h or 7d`, EXIT.invalid);
  if (seconds > max) throw new CommandFailure(`--expires: longer than auth.max_lifetime_s (${max} s)`, EXIT.invalid);
  return seconds;
}
