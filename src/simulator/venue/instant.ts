/** Times as the broker writes them: RFC 3339 with nine decimals, strictly rising inside one venue. */
import type { SimClock } from '../clock.js';

export class Timestamps {
  #lastMs = 0;
  #nanos = 0;

  constructor(private readonly clock: SimClock) {}

  /** Two calls never answer the same text, so "after the last one I saw" is a usable cursor. */
  next(): string {
    const now = this.clock.now();
    this.#nanos = now === this.#lastMs ? this.#nanos + 1 : 0;
    this.#lastMs = now;
    return `${new Date(now).toISOString().slice(0, -1)}${String(this.#nanos).padStart(6, '0')}Z`;
  }
}

/** Nanoseconds since the epoch of an RFC 3339 time or a date; undefined when it is neither. */
export function nanosOf(text: string): bigint | undefined {
  const match = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:?\d\d)?)?$/i.exec(text);
  if (match === null) return undefined;
  const [, day = '', time = '00:00:00', fraction = '', zone = 'Z'] = match;
  const seconds = Date.parse(`${day}T${time}${zone.toUpperCase()}`);
  if (Number.isNaN(seconds)) return undefined;
  return BigInt(seconds) * 1_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0'));
}
