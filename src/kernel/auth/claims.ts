/** From claims to a Principal. Every claim has one type; a claim of another type refuses the token, never coerces. */
import { isAccountId } from '../domain/identifiers.js';
import type { AccountId } from '../domain/identifiers.js';
import { NO_SUBJECT, PERMISSIONS, RESERVED_SUBJECTS } from '../domain/permissions.js';
import type { AccountScope, Permission, Principal } from '../domain/permissions.js';
import type { AuthPolicy, PolicyInForce } from './auth-policy.js';
import { refuse } from './token-refusal.js';

type Claims = Readonly<Record<string, unknown>>;

const TEXT_MAX = 256;
/** The year 5138: anything later is milliseconds, or 1e308. */
const SECONDS_MAX = 1e11;

export interface Verdict {
  readonly principal: Principal;
  /** Seconds since the epoch, as are the next two; undefined where the token does not say. */
  readonly expiresAt: number;
  readonly issuedAt: number | undefined;
  readonly validFrom: number | undefined;
  /** Which key signed it; it dies with the key. */
  readonly keyId: string;
}

/** @throws GatewayError TOKEN_INVALID */
export function readClaims(claims: Claims, policy: AuthPolicy, nowS: number, keyId: string): Verdict {
  const expiresAt = seconds(claims['exp']);
  if (expiresAt === undefined) throw refuse('claims');
  const issuedAt = seconds(claims['iat']);
  if (issuedAt !== undefined && issuedAt > nowS + policy.clockToleranceS) throw refuse('not-yet-valid');
  if (expiresAt - (issuedAt ?? nowS) > policy.maxLifetimeS + policy.clockToleranceS) throw refuse('lifetime');
  checkParties(claims, policy);
  const subject = text(claims['sub']);
  if (subject !== undefined && RESERVED_SUBJECTS.has(subject)) throw refuse('subject');
  const principal: Principal = {
    subject: subject ?? NO_SUBJECT,
    tokenId: text(claims['jti']),
    permissions: permissions(claims['permissions']),
    accounts: accounts(claims),
    expiresAt,
  };
  return { principal, expiresAt, issuedAt, validFrom: seconds(claims['nbf']), keyId };
}

/** What time and revocation lists may change after a token was verified. */
export function checkStanding(
  verdict: Verdict,
  policy: PolicyInForce,
  nowS: number,
): 'expired' | 'not-yet-valid' | 'revoked' | 'good' {
  if (verdict.expiresAt + policy.clockToleranceS <= nowS) return 'expired';
  if (verdict.validFrom !== undefined && verdict.validFrom > nowS + policy.clockToleranceS) return 'not-yet-valid';
  const { subject, tokenId } = verdict.principal;
  return isRevoked(policy, subject, tokenId, verdict.issuedAt) ? 'revoked' : 'good';
}

/** A token that does not say when it was issued cannot prove that it is newer than the line drawn for its subject. */
function isRevoked(
  policy: PolicyInForce,
  subject: string,
  tokenId: string | undefined,
  issuedAt: number | undefined,
): boolean {
  if (tokenId !== undefined && policy.revoked.has(tokenId)) return true;
  if (!Object.hasOwn(policy.notBefore, subject)) return false;
  return (issuedAt ?? 0) < (policy.notBefore[subject] ?? 0);
}

function checkParties(claims: Claims, { issuer, audience }: AuthPolicy): void {
  const { iss, aud } = claims;
  if (iss !== undefined && typeof iss !== 'string') throw refuse('issuer');
  if (issuer !== undefined && iss !== issuer) throw refuse('issuer');
  if (aud !== undefined && typeof aud !== 'string' && !isTexts(aud)) throw refuse('audience');
  if (audience !== undefined && aud !== audience && !(isTexts(aud) && aud.includes(audience))) throw refuse('audience');
}

function permissions(claim: unknown): ReadonlySet<Permission> {
  if (claim === undefined) return new Set();
  if (!isTexts(claim)) throw refuse('permissions');
  const known = claim.filter((name): name is Permission => (PERMISSIONS as readonly string[]).includes(name));
  if (known.length !== claim.length) throw refuse('permissions');
  return new Set(known);
}

function accounts({ account_id: one, account_ids: many }: Claims): AccountScope {
  if (one !== undefined && many !== undefined) throw refuse('accounts');
  const claim = one ?? many;
  if (claim === undefined) return new Set<AccountId>();
  if (claim === '*') return '*';
  const ids = one === undefined ? claim : [claim];
  if (!isTexts(ids)) throw refuse('accounts');
  const known = ids.filter(isAccountId);
  if (known.length !== ids.length) throw refuse('accounts');
  return new Set(known);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string');
}

function text(claim: unknown): string | undefined {
  if (claim === undefined) return undefined;
  if (typeof claim !== 'string' || claim === '' || claim.length > TEXT_MAX) throw refuse('claims');
  return claim;
}

function seconds(claim: unknown): number | undefined {
  if (claim === undefined) return undefined;
  if (typeof claim !== 'number' || !Number.isFinite(claim) || claim < 0 || claim > SECONDS_MAX) throw refuse('claims');
  return claim;
}
