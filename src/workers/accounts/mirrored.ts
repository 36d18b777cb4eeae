/** The broker's objects as the mirror keeps them: the text as it came, and its value to look into. */
import { rawElements } from '../../kernel/runtime/raw-json.js';

export type BrokerObject = Readonly<Record<string, unknown>>;

export interface Mirrored {
  /** Byte for byte as the broker sent it. */
  readonly text: string;
  readonly value: BrokerObject;
}

/** undefined when it is not a JSON object: whatever the broker sends must not stop the session. */
export function mirroredOf(text: string): Mirrored | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { text, value: { ...value } }
      : undefined;
  } catch {
    return undefined;
  }
}

/** undefined when it is not a JSON array. Elements that are no objects are left out. */
export function mirroredListOf(text: string): readonly Mirrored[] | undefined {
  try {
    if (!Array.isArray(JSON.parse(text))) return undefined;
  } catch {
    return undefined;
  }
  return rawElements(text)
    .map(mirroredOf)
    .filter((one) => one !== undefined);
}

export function textOf(value: BrokerObject, member: string): string {
  const found = value[member];
  return typeof found === 'string' ? found : '';
}

const TERMINAL = new Set(['filled', 'canceled', 'expired', 'replaced', 'rejected']);

export function isTerminal(status: string): boolean {
  return TERMINAL.has(status);
}

/** A quantity's canonical spelling: `1.50`, `1.5` and `01.5` are one execution's sum. Empty for what is no decimal. */
export function canonicalDecimal(text: string): string {
  const found = /^(\d*)(?:\.(\d*))?$/.exec(text);
  if (found === null || text === '') return '';
  const whole = (found[1] ?? '').replace(/^0+/, '') || '0';
  const fraction = (found[2] ?? '').replace(/0+$/, '');
  return fraction === '' ? whole : `${whole}.${fraction}`;
}

/** Compares two canonical decimals. */
export function isMore(a: string, b: string): boolean {
  const [wholeA = '', fractionA = ''] = a.split('.');
  const [wholeB = '', fractionB = ''] = b.split('.');
  if (wholeA.length !== wholeB.length) return wholeA.length > wholeB.length;
  if (wholeA !== wholeB) return wholeA > wholeB;
  return fractionA.padEnd(12, '0') > fractionB.padEnd(12, '0');
}

/** RFC 3339 of one source and one offset compares as text once it has as many digits. */
export function isEarlier(at: string, other: string): boolean {
  if (!at.endsWith('Z') || !other.endsWith('Z')) return false;
  return padded(at) < padded(other);
}

function padded(at: string): string {
  const [seconds = '', fraction = ''] = at.slice(0, -1).split('.');
  return `${seconds}.${fraction.padEnd(9, '0')}`;
}
