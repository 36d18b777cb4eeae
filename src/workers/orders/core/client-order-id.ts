/**
 * One intent, one id, for ever (docs/order-protocol.md R1, R3). Derived from account and key, so that two owners with
 * the same request make the same id and the broker itself refuses the second order.
 */
import { createHash } from 'node:crypto';

/** Fits every limit that the broker has had or announced for ids. */
const ID_LENGTH = 36;
const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';

/** `scope` is the hash of subject, route and key, or a fresh unique text for a caller without a key. */
export function deriveClientOrderId(namespace: string, accountId: string, scope: string): string {
  const digest = createHash('sha256').update([namespace, accountId, scope].join('\0')).digest();
  return `g1${base32(digest)}`.slice(0, ID_LENGTH);
}

/** A key belongs to its subject, account and route: the same key elsewhere is another key. */
export function keyScope(parts: { readonly subject: string; readonly route: string; readonly key: string }): string {
  return createHash('sha256').update([parts.subject, parts.route, parts.key].join('\0')).digest('hex');
}

function base32(bytes: Uint8Array): string {
  let text = '';
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32.charAt((held >> bits) & 31);
    }
    held &= (1 << bits) - 1;
  }
  return text;
}
