/** What a token may do and for whom (docs/api.md#permissions). */
import type { AccountId } from './identifiers.js';

export const PERMISSIONS = ['market_data', 'read', 'trade', 'audit', 'admin'] as const;
export type Permission = (typeof PERMISSIONS)[number];

/** `'*'` is every account of the gateway, also those added later. */
export type AccountScope = '*' | ReadonlySet<AccountId>;

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
