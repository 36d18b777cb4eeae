/**
 * What can be known of a token without a key: its shape, encoding, header. Everything here runs before any
 * cryptography, because most attacks live in what a lenient parser lets through (docs/security.md#tokens).
 */
import { parseStrictObject } from './strict-json.js';
import { refuse } from './token-refusal.js';

export const TOKEN_BYTES_MAX = 8192;
const SHAPE = /^[\w-]{2,}\.[\w-]+\.[\w-]+$/;
/** A map key and nothing else: no path, no query, no address. */
const KEY_ID = /^[\w.:=@+~-]{1,128}$/;
const TYPES = new Set(['jwt', 'at+jwt', 'application/at+jwt']);
/** The first four let a token bring its own key; the others change what the signature covers or what the payload is. */
const FORBIDDEN = ['jku', 'jwk', 'x5u', 'x5c', 'crit', 'b64', 'zip', 'enc', 'cty'];

export interface TokenShape {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** @throws GatewayError TOKEN_INVALID. What it returns is not verified: nobody may trust a claim yet. */
export function readShape(token: string): TokenShape {
  if (token.length > TOKEN_BYTES_MAX) throw refuse('too-long');
  if (!SHAPE.test(token)) throw refuse('shape');
  const [first = '', second = '', third = ''] = token.split('.');
  canonicalBytes(third);
  const header = decode(first);
  for (const name of FORBIDDEN) if (Object.hasOwn(header, name)) throw refuse('header');
  const { typ, alg, kid } = header;
  if (typeof typ !== 'string' || !TYPES.has(typ.toLowerCase())) throw refuse('type');
  if (typeof alg !== 'string') throw refuse('algorithm');
  if (kid !== undefined && (typeof kid !== 'string' || !KEY_ID.test(kid))) throw refuse('header');
  return { algorithm: alg, keyId: kid, payload: decode(second) };
}

function decode(part: string): Readonly<Record<string, unknown>> {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(canonicalBytes(part));
  } catch (cause) {
    throw refuse('encoding', cause);
  }
  const value = parseStrictObject(text);
  if (value === undefined) throw refuse('not-json');
  if (value === 'duplicate-key') throw refuse('duplicate-key');
  return value;
}

/** Two spellings of the same bytes would be two tokens for a revocation list or a cache. */
function canonicalBytes(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url');
  if (bytes.toString('base64url') !== part) throw refuse('encoding');
  return bytes;
}
