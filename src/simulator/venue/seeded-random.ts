/** One seed, one run: every id and every chance in the simulator comes from here, so a failure can be repeated. */
export class SeededRandom {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). Mulberry32: 32 bits of state are enough to repeat a test, and it costs nothing. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  chance(probability: number): boolean {
    return probability >= 1 || this.next() < probability;
  }

  hex(digits: number): string {
    let text = '';
    while (text.length < digits)
      text += Math.floor(this.next() * 0x1_0000_0000)
        .toString(16)
        .padStart(8, '0');
    return text.slice(0, digits);
  }

  /** Shaped as a version 4 UUID. */
  uuid(): string {
    const digits = this.hex(32);
    const variant = '89ab'.charAt(Math.floor(this.next() * 4));
    return [
      digits.slice(0, 8),
      digits.slice(8, 12),
      `4${digits.slice(13, 16)}`,
      variant + digits.slice(17, 20),
      digits.slice(20),
    ].join('-');
  }

  /** A ULID: ten characters of time, sixteen of chance, so ids sort by time. */
  ulid(now: number): string {
    let time = '';
    for (let left = now, digit = 0; digit < 10; digit += 1) {
      time = CROCKFORD.charAt(left % 32) + time;
      left = Math.floor(left / 32);
    }
    let chance = '';
    for (let digit = 0; digit < 16; digit += 1) chance += CROCKFORD.charAt(Math.floor(this.next() * 32));
    return time + chance;
  }
}

const CROCKFORD = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
