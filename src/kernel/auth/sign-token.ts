/** Signs a token for local use (`opitios token`, the demo, tests). Issuing tokens for real users is somebody else's job. */
import { createSecretKey } from 'node:crypto';
import { SignJWT } from 'jose';
import type { Permission } from '../domain/permissions.js';

export interface TokenRequest {
  readonly secret: string;
  readonly subject: string;
  readonly permissions: readonly Permission[];
  /** `'*'` is every account; an empty list reads market data only. */
  readonly accounts: '*' | readonly string[];
  readonly issuedAtS: number;
  readonly lifetimeS: number;
  readonly tokenId: string;
  readonly issuer?: string | undefined;
  readonly audience?: string | undefined;
}

/** HS256, `typ: JWT`. */
export function signToken(request: TokenRequest): Promise<string> {
  const { accounts, issuer, audience } = request;
  const scope = accounts === '*' || accounts.length > 0 ? { account_ids: accounts } : {};
  const issuedAt = Math.floor(request.issuedAtS);
  const token = new SignJWT({ permissions: [...request.permissions], ...scope })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject(request.subject)
    .setJti(request.tokenId)
    .setIssuedAt(issuedAt)
    .setExpirationTime(issuedAt + request.lifetimeS);
  if (issuer !== undefined) token.setIssuer(issuer);
  if (audience !== undefined) token.setAudience(audience);
  return token.sign(createSecretKey(Buffer.from(request.secret, 'utf8')));
}
