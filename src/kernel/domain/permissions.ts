/** What a token may do and for whom (docs/api.md#permissions). */
import type { AccountId } from './identifiers.js';

export const PERMISSIONS = ['market_data', 'read', 'trade', 'audit', 'admin'] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** `'*'` is every account of the gateway, also those added later. */
export type AccountScope = '*' | ReadonlySet<AccountId>;

/** The subject of a caller whose token names none. */
export const NO_SUBJECT = 'anonymous';

/** Subjects that the gateway itself uses in the audit trail: no token may carry one of them. */
export const RESERVED_SUBJECTS: ReadonlySet<string> = new Set(['system', NO_SUBJECT]);

/** Who is calling, as the verified token says. Built only by kernel/auth. */
export interface Principal {
  readonly subject: string;
  readonly tokenId: string | undefined;
  readonly permissions: ReadonlySet<Permission>;
  readonly accounts: AccountScope;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}

export function mayReach(principal: Principal, accountId: AccountId): boolean {
  return principal.accounts === '*' || principal.accounts.has(accountId);
}

/** Routes that speak of the whole instance: a token over every account, or one that names none (an operator's). */
export function mayAdminister({ permissions, accounts }: Principal): boolean {
  return permissions.has('admin') && (accounts === '*' || accounts.size === 0);
}
