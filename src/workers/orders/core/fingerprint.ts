/**
 * What makes two requests the same: SHA-256 over the canonical JSON of the validated fields. Decimals are normalised
 * and defaults left out, so `1`, `"1.0"` and the order of keys do not matter.
 */
import { createHash } from 'node:crypto';
import { printDecimal, readDecimal } from '../../../kernel/domain/decimal.js';

const DECIMAL_FIELDS: ReadonlySet<string> = new Set([
  'qty',
  'notional',
  'limit_price',
  'stop_price',
  'trail_price',
  'trail_percent',
  'trail',
  'ratio_qty',
  'percentage',
]);

/** A field at its default says nothing. */
const DEFAULTS: Readonly<Record<string, readonly unknown[]>> = {
  order_class: ['', 'simple'],
  extended_hours: [false],
};

export function fingerprint(request: unknown): string {
  return createHash('sha256').update(canonicalJson(request)).digest('hex');
}

export function canonicalJson(value: unknown, field = ''): string {
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(',')}]`;
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value)
      .filter(([name, member]) => member !== undefined && member !== null && !isDefault(name, member))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member, name)}`);
    return `{${members.join(',')}}`;
  }
  const decimal = DECIMAL_FIELDS.has(field) || typeof value === 'number' ? readDecimal(value) : undefined;
  return JSON.stringify(decimal === undefined ? value : printDecimal(decimal));
}

function isDefault(name: string, value: unknown): boolean {
  return DEFAULTS[name]?.includes(value) === true;
}
