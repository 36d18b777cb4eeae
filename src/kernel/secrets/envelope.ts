/**
 * A sealed secret as text: `enc:1.<kdf>.<key id>.<wrapped data key>.<sealed value>`, parts in base64url. The value is sealed
 * by a data key of its account; the data key is wrapped by the operator's key, so that a rotation rewrites only the wrap.
 * AES-256-GCM both times; each binds what it belongs to, so that no part fits anywhere else.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { GatewayError } from '../domain/errors.js';

export const SEALED_PREFIX = 'enc:';
const VERSION = '1';
const KEY_BYTES = 32;
const IV_BYTES = 12;
const TAG_BYTES = 16;
const PART = /^[\w-]+$/;

/** How the operator's key is made; bound into the wrap, so that nobody can weaken it unseen. */
export type KeyDerivation =
  | { readonly kind: 'raw' }
  | { readonly kind: 'scrypt'; readonly logN: number; readonly r: number; readonly p: number; readonly salt: string };

export interface Envelope {
  readonly derivation: KeyDerivation;
  readonly keyId: string;
  readonly wrapped: Buffer;
  readonly sealed: Buffer;
}

/** scrypt N = 2^17, r = 8, p = 1 is the least that OWASP ASVS 5 accepts; more than 2^20 is an attack on our memory. */
const SCRYPT = { logNMin: 17, logNMax: 20, r: 8, pMax: 4 } as const;

/** The one error of this folder's opening side: which step failed would help only somebody who guesses. */
export function cannotOpen(): GatewayError {
  return new GatewayError('SECRET_INVALID', {}, { message: 'a secret cannot be opened with the configured key' });
}

export function isSealed(text: string): boolean {
  return text.startsWith(SEALED_PREFIX);
}

export function writeEnvelope({ derivation, keyId, wrapped, sealed }: Envelope): string {
  const parts = [
    VERSION,
    showDerivation(derivation),
    keyId,
    wrapped.toString('base64url'),
    sealed.toString('base64url'),
  ];
  return SEALED_PREFIX + parts.join('.');
}

/** @throws GatewayError SECRET_INVALID */
export function readEnvelope(text: string): Envelope {
  if (!isSealed(text) || text.length > 8192) throw cannotOpen();
  const [version, kind, ...rest] = text.slice(SEALED_PREFIX.length).split('.');
  if (version !== VERSION || rest.some((part) => !PART.test(part))) throw cannotOpen();
  const derivation = kind === 'raw' ? ({ kind: 'raw' } as const) : readScrypt(kind, rest.splice(0, 4));
  const [keyId = '', wrapped = '', sealed = '', more] = rest;
  if (more !== undefined) throw cannotOpen();
  return { derivation, keyId, wrapped: bytesOf(wrapped), sealed: bytesOf(sealed) };
}

export function showDerivation(derivation: KeyDerivation): string {
  if (derivation.kind === 'raw') return 'raw';
  return ['scrypt', derivation.logN, derivation.r, derivation.p, derivation.salt].join('.');
}

function readScrypt(kind: string | undefined, parts: readonly string[]): KeyDerivation {
  const [logN = 0, r = 0, p = 0] = parts.slice(0, 3).map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : 0));
  const salt = parts[3] ?? '';
  const strong = logN >= SCRYPT.logNMin && logN <= SCRYPT.logNMax && r === SCRYPT.r && p >= 1 && p <= SCRYPT.pMax;
  if (kind !== 'scrypt' || !strong || bytesOf(salt).length < 16) throw cannotOpen();
  return { kind: 'scrypt', logN, r, p, salt };
}

/** Canonical only: one value has one spelling. */
function bytesOf(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url');
  if (part === '' || bytes.toString('base64url') !== part) throw cannotOpen();
  return bytes;
}

export function newDataKey(): Buffer {
  return randomBytes(KEY_BYTES);
}

/** IV, ciphertext and tag in one. A fresh random IV each time. */
export function encrypt(key: Buffer, plain: Buffer, boundTo: string): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(boundTo, 'utf8'));
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

/** @throws GatewayError SECRET_INVALID */
export function decrypt(key: Buffer, bytes: Buffer, boundTo: string): Buffer {
  if (bytes.length < IV_BYTES + TAG_BYTES) throw cannotOpen();
  // Node takes tags of 4 to 16 bytes unless the length is fixed here: a cut tag would be guessable.
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES), { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(boundTo, 'utf8'));
  decipher.setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, bytes.length - TAG_BYTES)), decipher.final()]);
  } catch {
    throw cannotOpen();
  }
}

/** What a sealed value belongs to. Account ids and fields hold no `|`. */
export function valueBinding(accountId: string, field: string): string {
  return `${VERSION}|${accountId}|${field}`;
}

export function wrapBinding(accountId: string, derivation: KeyDerivation, keyId: string): string {
  return `${VERSION}|data-key|${accountId}|${showDerivation(derivation)}|${keyId}`;
}
