/** Where verifying keys come from. A key knows its one algorithm; the token's header only names it. */
import { createHash, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { GatewayError } from '../domain/errors.js';
import type { AuthPolicy } from './auth-policy.js';
import type { TokenShape } from './token-shape.js';
import { refuse } from './token-refusal.js';

const HMAC_SECRET_BYTES_MIN = 32;
const RSA_BITS_MIN = 2048;

export interface VerificationKey {
  /** A fingerprint, not the token's `kid`: the same name may come back with another key. */
  readonly id: string;
  readonly algorithm: string;
  readonly key: KeyObject;
}

export interface KeySource {
  /** @throws GatewayError TOKEN_INVALID key-unknown, keys-unavailable */
  keyFor(shape: TokenShape): Promise<VerificationKey>;
  /** Whether a key that verified a token before still counts. */
  holds(keyId: string): boolean;
}

/** HS256 by secret or one PEM file: the key never changes by itself. */
export class StaticKey implements KeySource {
  constructor(private readonly key: VerificationKey) {}

  keyFor(): Promise<VerificationKey> {
    return Promise.resolve(this.key);
  }

  holds(keyId: string): boolean {
    return keyId === this.key.id;
  }
}

/** @throws GatewayError CONFIG_INVALID, SECRET_INVALID */
export async function readStaticKey(policy: AuthPolicy): Promise<VerificationKey> {
  if (policy.secret !== undefined) return secretKey(policy.secret);
  if (policy.publicKeyFile === undefined) throw invalid('auth has neither a secret nor a public key');
  const key = publicKey(policy.publicKeyPem ?? (await readFile(policy.publicKeyFile, 'utf8')));
  if (!policy.algorithms.includes(key.algorithm))
    throw invalid(`auth.public_key_file is for ${key.algorithm}, which auth.algorithms does not allow`);
  return key;
}

function secretKey(secret: string): VerificationKey {
  if (secret.startsWith('enc:'))
    throw new GatewayError('SECRET_INVALID', {}, { message: 'auth.secret is still sealed' });
  // A public key used as a secret is the oldest confusion of all (CVE-2015-9235): everybody knows that "secret".
  if (secret.includes('-----BEGIN')) throw invalid('auth.secret is a PEM key');
  const bytes = Buffer.from(secret, 'utf8');
  if (bytes.length < HMAC_SECRET_BYTES_MIN) throw invalid('auth.secret has fewer than 32 bytes');
  return { id: fingerprint(bytes), algorithm: 'HS256', key: createSecretKey(bytes) };
}

function publicKey(pem: string): VerificationKey {
  if (pem.includes('PRIVATE KEY')) throw invalid('auth.public_key_file holds a private key');
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (cause) {
    throw invalid('auth.public_key_file is no PEM public key', cause);
  }
  const algorithm = algorithmOf(key);
  if (algorithm === undefined) throw invalid('auth.public_key_file is none of RSA (2048 bits), P-256, Ed25519');
  return { id: fingerprint(key.export({ type: 'spki', format: 'der' })), algorithm, key };
}

/** The one algorithm a public key may be used with, or undefined where we accept none. */
export function algorithmOf(key: KeyObject): string | undefined {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'rsa') return (details?.modulusLength ?? 0) >= RSA_BITS_MIN ? 'RS256' : undefined;
  if (key.asymmetricKeyType === 'ec') return details?.namedCurve === 'prime256v1' ? 'ES256' : undefined;
  return key.asymmetricKeyType === 'ed25519' ? 'EdDSA' : undefined;
}

export function fingerprint(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('base64url');
}

export function checkAlgorithm(key: VerificationKey, shape: TokenShape, policy: AuthPolicy): void {
  if (shape.algorithm !== key.algorithm || !policy.algorithms.includes(key.algorithm)) throw refuse('algorithm');
}

function invalid(message: string, cause?: unknown): GatewayError {
  return new GatewayError('CONFIG_INVALID', {}, { message, ...(cause === undefined ? {} : { cause }) });
}
