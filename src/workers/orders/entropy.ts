/** Chance as a dependency: production binds the system's, the simulation a seeded one. */
import { randomBytes } from 'node:crypto';

export interface Entropy {
  /** In [0, 1). */
  next(): number;
}

export const systemEntropy: Entropy = { next: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48 };

/** Sorts by time, so that ids of one day lie together at the broker (RFC 9562, version 7). */
export function uuidV7(wallMs: number, entropy: Entropy): string {
  const digits = (count: number): string =>
    Array.from({ length: count }, () => Math.floor(entropy.next() * 16).toString(16)).join('');
  const time = Math.max(0, Math.floor(wallMs)).toString(16).padStart(12, '0');
  const variant = '89ab'.charAt(Math.floor(entropy.next() * 4));
  return `${time.slice(0, 8)}-${time.slice(8, 12)}-7${digits(3)}-${variant}${digits(3)}-${digits(12)}`;
}
