/** Identifiers that cannot be swapped: each is branded and has one checked constructor. */
import { GatewayError } from './errors.js';

declare const brand: unique symbol;
export type Brand<T, Name extends string> = T & { readonly [brand]: Name };

/** Our name of a brokerage account. Case-sensitive. */
export type AccountId = Brand<string, 'AccountId'>;
/** Ours, chosen before sending; survives a resend. */
export type ClientOrderId = Brand<string, 'ClientOrderId'>;
/** The broker's; known only after acceptance. */
export type BrokerOrderId = Brand<string, 'BrokerOrderId'>;

/** The account whose credentials serve market data. It is configured apart and never trades through the gateway. */
export const MASTER_ACCOUNT_ID = 'master' as AccountId;

const ACCOUNT_ID = /^[\w-]{1,64}$/;

export function isAccountId(text: string): text is AccountId {
  return ACCOUNT_ID.test(text);
}

/** @throws GatewayError ACCOUNT_ID_MALFORMED */
export function parseAccountId(text: string): AccountId {
  if (!isAccountId(text)) throw new GatewayError('ACCOUNT_ID_MALFORMED', { text: text.slice(0, 80) });
  return text;
}
