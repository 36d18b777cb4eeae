/** Tokens made by hand, part by part, so that a test can write what no library would. */
import { createHmac, generateKeyPairSync, sign, type KeyObject } from 'node:crypto';

export const NOW_S = Date.UTC(2026, 0, 5, 15, 0, 0) / 1000;

export interface Pair {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export const rsaPair = (bits = 2048): Pair => generateKeyPairSync('rsa', { modulusLength: bits });
export const ecPair = (): Pair => generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
export const edPair = (): Pair => generateKeyPairSync('ed25519');

export function claimsOf(over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return {
    sub: 'tester',
    iss: 'issuer',
    aud: 'gateway',
    iat: NOW_S - 10,
    exp: NOW_S + 600,
    permissions: ['read'],
    account_ids: ['account_001'],
    ...over,
  };
}

export const part = (value: unknown): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Signs whatever stands before the last dot. */
export function signRaw(head: string, algorithm: string, key: KeyObject | Buffer | string): string {
  if (algorithm.startsWith('HS'))
    return createHmac(`sha${algorithm.slice(2)}`, key)
      .update(head)
      .digest('base64url');
  const hash = algorithm === 'EdDSA' ? null : 'sha256';
  const padding = algorithm === 'PS256' ? { padding: 6, saltLength: 32 } : {};
  return sign(hash, Buffer.from(head), { key: key as KeyObject, dsaEncoding: 'ieee-p1363', ...padding }).toString(
    'base64url',
  );
}

export function rawToken(
  header: unknown,
  claims: unknown,
  key: KeyObject | Buffer | string,
  algorithm: string,
): string {
  const head = `${part(header)}.${part(claims)}`;
  return `${head}.${signRaw(head, algorithm, key)}`;
}
