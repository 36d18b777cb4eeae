/**
 * Repeatable randomness for the simulated market. A number here is a pure function of a seed and a place, so that any
 * minute of any symbol can be computed on its own, in any order, in any process. Not for secrets.
 */

/** 32-bit hash of a text, for the seed of one symbol. */
export function seedOf(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193) >>> 0;
  return mix(hash, seed);
}

/** 32-bit hash of two integers. */
export function mix(left: number, right: number): number {
  let hash = Math.imul((left ^ 0x9e3779b9) >>> 0, 0x85ebca6b) ^ Math.imul(right | 0, 0xc2b2ae35);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return (hash ^ (hash >>> 15)) >>> 0;
}

/** In [0, 1). */
export function unit(seed: number, place: number): number {
  return mix(seed, place) / 0x100000000;
}

/** A stream of numbers in [0, 1): same seed, same stream. */
export function randomStream(seed: number): () => number {
  let place = 0;
  return () => {
    place += 1;
    return unit(seed, place);
  };
}

/** A UUID that is always the same for the same text. */
export function uuidOf(text: string): string {
  const hex = [11, 23, 37, 53].map((salt) => seedOf(text, salt).toString(16).padStart(8, '0')).join('');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
