/**
 * Reads a JSON body strictly (RFC 8259): no key twice, no reserved key, bounded depth and number of keys. It exists
 * because JSON.parse takes the last of two equal keys in silence and rounds a number that a double cannot hold: here
 * such a number stays the text the caller wrote, so that the broker sees the caller's value.
 */
import { GatewayError } from '../../kernel/domain/errors.js';

export const DEPTH_MAX = 16;
export const KEYS_MAX = 200;

/** Would reach the prototype of an object somewhere behind us. */
const RESERVED = new Set(['__proto__', 'constructor', 'prototype']);
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?/iy;
const PLAIN_NUMBER = /^-?\d+(?:\.\d+)?$/;
const SPACE = /[ \t\n\r]*/y;
/** A string without its quotes: no control character, escapes in pairs. */
// eslint-disable-next-line no-control-regex -- RFC 8259: a control character must be escaped.
const STRING = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;

/** @throws GatewayError MESSAGE_INVALID with facts `detail` and `field`, safe to show to the caller. */
export function parseJsonText(text: string): unknown {
  return new Reader(text).document();
}

/** The number itself when a double says exactly what the text says, else the text. */
export function exactNumber(literal: string): number | string {
  const value = Number(literal);
  if (!PLAIN_NUMBER.test(literal)) return Number.isSafeInteger(value) ? value : literal;
  const text = String(value);
  return PLAIN_NUMBER.test(text) && canonical(text) === canonical(literal) && !Object.is(value, -0) ? value : literal;
}

function canonical(text: string): string {
  return text.includes('.') ? text.replace(/0+$/, '').replace(/\.$/, '') : text;
}

class Reader {
  #at = 0;
  #keys = 0;

  constructor(private readonly text: string) {}

  document(): unknown {
    const value = this.#value(0, '');
    this.#space();
    if (this.#at !== this.text.length) this.#refuse('There is something after the JSON value.');
    return value;
  }

  #value(depth: number, path: string): unknown {
    this.#space();
    const first = this.text[this.#at];
    if (first === '{' || first === '[') {
      if (depth >= DEPTH_MAX) this.#refuse(`The body is nested deeper than ${DEPTH_MAX} levels.`, path);
      this.#at += 1;
      return first === '{' ? this.#object(depth + 1, path) : this.#array(depth + 1, path);
    }
    if (first === '"') return this.#string(path);
    if (this.#word('true')) return true;
    if (this.#word('false')) return false;
    if (this.#word('null')) return null;
    const literal = this.#match(NUMBER);
    if (literal === undefined) return this.#refuse(`The body is not JSON at character ${this.#at + 1}.`, path);
    return exactNumber(literal);
  }

  #object(depth: number, path: string): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    if (this.#punctuation('}')) return object;
    do {
      this.#space();
      const key = this.#string(path);
      const field = path === '' ? key : `${path}.${key}`;
      this.#keys += 1;
      if (this.#keys > KEYS_MAX) this.#refuse(`The body has more than ${KEYS_MAX} keys.`, path);
      if (RESERVED.has(key)) this.#refuse('The name is reserved.', field);
      if (Object.hasOwn(object, key)) this.#refuse('The name is given more than once.', field);
      if (!this.#punctuation(':')) this.#refuse(`A colon is missing at character ${this.#at + 1}.`, path);
      object[key] = this.#value(depth, field);
    } while (this.#punctuation(','));
    if (!this.#punctuation('}')) this.#refuse(`The object does not end at character ${this.#at + 1}.`, path);
    return object;
  }

  #array(depth: number, path: string): unknown[] {
    const items: unknown[] = [];
    if (this.#punctuation(']')) return items;
    do {
      items.push(this.#value(depth, `${path}[${items.length}]`));
    } while (this.#punctuation(','));
    if (!this.#punctuation(']')) this.#refuse(`The array does not end at character ${this.#at + 1}.`, path);
    return items;
  }

  #string(path: string): string {
    const quoted = this.#match(STRING);
    if (quoted === undefined) return this.#refuse(`A string is expected at character ${this.#at + 1}.`, path);
    let value = quoted.slice(1, -1);
    if (!value.includes('\\')) return value;
    try {
      value = JSON.parse(quoted) as string;
    } catch {
      return this.#refuse('A string has an escape that JSON does not know.', path);
    }
    // A lone surrogate has no UTF-8 form: it would reach the broker as another character.
    if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)) {
      this.#refuse('A string holds half a character.', path);
    }
    return value;
  }

  #space(): void {
    SPACE.lastIndex = this.#at;
    SPACE.test(this.text);
    this.#at = SPACE.lastIndex;
  }

  #punctuation(sign: string): boolean {
    this.#space();
    if (this.text[this.#at] !== sign) return false;
    this.#at += 1;
    return true;
  }

  #word(word: string): boolean {
    if (!this.text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  #match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.#at += found.length;
    return found;
  }

  #refuse(detail: string, field = ''): never {
    throw new GatewayError('MESSAGE_INVALID', { detail, field: field.slice(0, 80) });
  }
}
