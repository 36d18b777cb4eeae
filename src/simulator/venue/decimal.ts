/** Money and quantity inside the venue: bigints in billionths, because nine decimals is all that the broker shows. */

/** A count of billionths. */
export type Nano = bigint;

export const ONE: Nano = 1_000_000_000n;

const DECIMAL = /^([+-]?)(\d{1,18})(?:\.(\d{1,9})0*)?$/;

/** Reads a JSON number or decimal string; undefined when it is neither or has more than nine decimals. */
export function parseNano(value: unknown): Nano | undefined {
  if (typeof value !== 'string' && typeof value !== 'number') return undefined;
  const text = typeof value === 'number' ? plain(value) : value.trim();
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign, whole = '0', fraction = ''] = match;
  const size = BigInt(whole) * ONE + BigInt(fraction.padEnd(9, '0'));
  return sign === '-' ? -size : size;
}

/** Market prices are numbers on the data side; they enter the venue here, to nine decimals. */
export function nanoOf(price: number): Nano {
  return BigInt(Math.round(price * 1e6)) * 1000n;
}

/** `1500000000n` is "1.5"; no trailing zeros, as the broker writes it. */
export function textOf(value: Nano): string {
  const sign = value < 0n ? '-' : '';
  const size = value < 0n ? -value : value;
  const fraction = (size % ONE).toString().padStart(9, '0').replace(/0+$/, '');
  return `${sign}${size / ONE}${fraction === '' ? '' : `.${fraction}`}`;
}

/** Dollars and cents, rounded half away from zero. */
export function centsOf(value: Nano): string {
  const cent = ONE / 100n;
  const rounded = value < 0n ? -((-value + cent / 2n) / cent) : (value + cent / 2n) / cent;
  return textOf(rounded * cent);
}

export function multiply(a: Nano, b: Nano): Nano {
  return (a * b) / ONE;
}

export function divide(a: Nano, b: Nano): Nano {
  return b === 0n ? 0n : (a * ONE) / b;
}

export function magnitude(a: Nano): Nano {
  return a < 0n ? -a : a;
}

export function smaller(a: Nano, b: Nano): Nano {
  return a < b ? a : b;
}

/** A JSON number without an exponent, as far as nine decimals go. */
function plain(value: number): string {
  const text = String(value);
  return text.includes('e') ? value.toFixed(9) : text;
}
