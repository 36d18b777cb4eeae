/**
 * Reads a JSON body strictly (RFC 8259): no key twice, no reserved key, bounded depth, number of keys and of values,
 * bounded numbers; its time is linear in the length of the text. It exists because JSON.parse takes the last of two
 * equal keys in silence and rounds a number that a double cannot hold: here such a number stays the text the caller
 * wrote, so that the broker sees the caller's value.
 */
import { GatewayError } from '../../kernel/domain/errors.js';

export const DEPTH_MAX = 16;
export const KEYS_MAX = 200;
/** Values of a body, those inside objects and arrays included, unless its route takes longer lists. */
export const VALUES_MAX = 400;
/** Characters of one number: no price or quantity needs as many. */
export const NUMBER_CHARS_MAX = 40;

/** Would reach the prototype of an object somewhere behind us. */
const RESERVED = new Set(['__proto__', 'constructor', 'prototype']);
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:e[+-]?\d+)?/iy;
const PLAIN_NUMBER = /^-?\d+(?:\.\d+)?$/;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** RFC 8259: a control character must be escaped. */
const FIRST_PRINTABLE = 0x20;
const SPACE = /[ \t\n\r]*/y;
/** @throws GatewayError MESSAGE_INVALID with facts `detail` and `field`, safe to show to the caller. */
export function parseJsonText(text: string, valuesMax = VALUES_MAX): unknown {
  return new Reader(text, valuesMax).document();
}

/** The number itself when a double says exactly what the text says, else the text. */
export function exactNumber(literal: string): number | string {
  const value = Number(literal);
  if (!PLAIN_NUMBER.test(literal)) return Number.isSafeInteger(value) ? value : literal;
  const text = String(value);
  return PLAIN_NUMBER.test(text) && canonical(text) === canonical(literal) && !Object.is(value, -0) ? value : literal;
}

/** Without the zeros that end a fraction. Counted from the end: a pattern would try every run of zeros on its way. */
function canonical(text: string): string {
  if (!text.includes('.')) return text;
  let end = text.length;
  while (text[end - 1] === '0') end -= 1;
  return text.slice(0, text[end - 1] === '.' ? end - 1 : end);
}

class Reader {
  #at = 0;
  #keys = 0;
  #values = 0;
  /** Where the reader stands, outermost first: put into words only for a refusal. */
  readonly #path: (string | number)[] = [];

  constructor(
    private readonly text: string,
    private readonly valuesMax: number,
  ) {}

  document(): unknown {
    const value = this.#value(0);
    this.#space();
    if (this.#at !== this.text.length) this.#refuse('There is something after the JSON value.');
    return value;
  }

  #value(depth: number): unknown {
    this.#space();
    this.#values += 1;
    if (this.#values > this.valuesMax) this.#refuse(`The body has more than ${this.valuesMax} values.`);
    const first = this.text[this.#at];
    if (first === '{' || first === '[') {
      if (depth >= DEPTH_MAX) this.#refuse(`The body is nested deeper than ${DEPTH_MAX} levels.`);
      this.#at += 1;
      return first === '{' ? this.#object(depth + 1) : this.#array(depth + 1);
    }
    if (first === '"') return this.#string();
    if (this.#word('true')) return true;
    if (this.#word('false')) return false;
    if (this.#word('null')) return null;
    return this.#number();
  }

  #number(): number | string {
    const literal = this.#match(NUMBER);
    if (literal === undefined) return this.#refuse(`The body is not JSON at character ${this.#at + 1}.`);
    if (literal.length > NUMBER_CHARS_MAX) this.#refuse(`A number has more than ${NUMBER_CHARS_MAX} characters.`);
    return exactNumber(literal);
  }

  #object(depth: number): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    if (this.#punctuation('}')) return object;
    do {
      this.#space();
      const key = this.#string();
      this.#keys += 1;
      if (this.#keys > KEYS_MAX) this.#refuse(`The body has more than ${KEYS_MAX} keys.`);
      this.#path.push(key);
      if (RESERVED.has(key)) this.#refuse('The name is reserved.');
      if (Object.hasOwn(object, key)) this.#refuse('The name is given more than once.');
      if (!this.#punctuation(':')) this.#refuse(`A colon is missing at character ${this.#at + 1}.`);
      object[key] = this.#value(depth);
      this.#path.pop();
    } while (this.#punctuation(','));
    if (!this.#punctuation('}')) this.#refuse(`The object does not end at character ${this.#at + 1}.`);
    return object;
  }

  #array(depth: number): unknown[] {
    const items: unknown[] = [];
    if (this.#punctuation(']')) return items;
    do {
      this.#path.push(items.length);
      items.push(this.#value(depth));
      this.#path.pop();
    } while (this.#punctuation(','));
    if (!this.#punctuation(']')) this.#refuse(`The array does not end at character ${this.#at + 1}.`);
    return items;
  }

  #string(): string {
    const end = this.#endOfString();
    if (end === undefined) return this.#refuse(`A string is expected at character ${this.#at + 1}.`);
    const quoted = this.text.slice(this.#at, end);
    this.#at = end;
    let value = quoted.slice(1, -1);
    if (!value.includes('\\')) return value;
    try {
      value = JSON.parse(quoted) as string;
    } catch {
      return this.#refuse('A string has an escape that JSON does not know.');
    }
    // A lone surrogate has no UTF-8 form: it would reach the broker as another character.
    if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(value)) {
      this.#refuse('A string holds half a character.');
    }
    return value;
  }

  /** Behind the closing quote. A pattern would keep a place to go back to for every character of a long string. */
  #endOfString(): number | undefined {
    if (this.text[this.#at] !== '"') return undefined;
    for (let at = this.#at + 1; at < this.text.length; at += 1) {
      const code = this.text.charCodeAt(at);
      if (code === QUOTE) return at + 1;
      if (code < FIRST_PRINTABLE) return undefined;
      if (code === BACKSLASH) at += 1;
    }
    return undefined;
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

  #refuse(detail: string): never {
    const field = this.#path.reduce<string>(
      (path, part) => (typeof part === 'number' ? `${path}[${part}]` : path === '' ? part : `${path}.${part}`),
      '',
    );
    throw new GatewayError('MESSAGE_INVALID', { detail, field: field.slice(0, 80) });
  }
}
