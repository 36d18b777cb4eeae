/**
 * What may stand in a log line. Secrets are removed here by name and by look, not by whoever logs remembering it; text
 * that could forge a line or drive a terminal is escaped; everything has a size.
 */
const SECRET_NAME =
  /secret|authorization|password|passphrase|cookie|credential|api[-_]?key|^apca-|private[-_]?key|^token$|[a-z]token$|[-_]token$|bearer|^kek$|^dek$/i;
const SECRET_TEXT = [
  /\b(?:bearer|basic)[ .]+[\w.~+/=-]{8,}/gi,
  /\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g,
  /\benc:[\w.:+/=-]{8,}/g,
  /\b(apca-api-(?:key-id|secret-key))["']?\s*[:=]\s*["']?[\w+/=-]+/gi,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?/g,
];
/** JSON escapes C0 and quotes; C1, the line separators and bidi overrides it leaves alone. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
/** What every pattern above needs to match: most texts have nothing of it, and are told so by one look. */
const SUSPECT = /[^\x20-\x7e]|bearer|basic|eyJ|enc:|apca|BEGIN/i;
const REMOVED = '[redacted]';
/** Field names are few and written in the code; those of a caller's bodies stop being remembered at this number. */
const NAMES_MAX = 500;
const TEXT_MAX = 4096;
const ITEMS_MAX = 100;
const DEPTH_MAX = 6;

/** The same, and what JSON would have to escape. */
const NOT_PLAIN = new RegExp(`${SUSPECT.source}|["\\\\]`, 'i');

interface KnownName {
  readonly text: string;
  /** The text as a JSON string. */
  readonly quoted: string;
  readonly isSecret: boolean;
}

const names = new Map<string, KnownName>();

export function redactText(text: string): string {
  if (text.length <= TEXT_MAX && !SUSPECT.test(text)) return text;
  const cut = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text;
  const removed = SECRET_TEXT.reduce((kept, pattern) => kept.replace(pattern, REMOVED), cut);
  return removed.replace(UNSAFE, (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * The members of the JSON object that `redactFields` would make, each with a comma after it, without making the object:
 * nearly every line is a few short texts and numbers.
 */
export function redactedMembersJson(fields: Readonly<Record<string, unknown>>): string {
  let json = '';
  let left = ITEMS_MAX;
  for (const name of Object.keys(fields)) {
    if (left === 0) break;
    left -= 1;
    const value = fields[name];
    if (value === undefined) continue;
    const { quoted, isSecret } = nameOf(name);
    json += `${quoted}:${isSecret && typeof value !== 'boolean' ? `"${REMOVED}"` : redactedJson(value)},`;
  }
  return json;
}

function redactedJson(value: unknown): string {
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  if (typeof value !== 'string') return JSON.stringify(redact(value, 1));
  // What has none of the suspect signs has no control character either.
  const isPlain = value.length <= TEXT_MAX && !NOT_PLAIN.test(value);
  return isPlain ? `"${value}"` : JSON.stringify(redactText(value));
}

export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return redactMembers(Object.entries(fields), 0);
}

function redactMembers(entries: readonly (readonly [string, unknown])[], depth: number): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  let left = ITEMS_MAX;
  for (const [name, value] of entries) {
    if (left === 0) break;
    left -= 1;
    const known = nameOf(name);
    const isSecret = known.isSecret && value !== undefined && typeof value !== 'boolean';
    const shown = isSecret ? REMOVED : redact(value, depth + 1);
    // An assignment would change the prototype instead.
    if (known.text === '__proto__') Object.defineProperty(kept, known.text, { value: shown, enumerable: true });
    else kept[known.text] = shown;
  }
  return kept;
}

function nameOf(name: string): KnownName {
  const found = names.get(name);
  if (found !== undefined) return found;
  const text = redactText(name);
  const known = { text, quoted: JSON.stringify(text), isSecret: SECRET_NAME.test(name) };
  if (names.size < NAMES_MAX && name.length <= 64) names.set(name, known);
  return known;
}

function redact(value: unknown, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return redactText(value);
    case 'bigint':
      return value.toString();
    case 'function':
    case 'symbol':
      return typeof value;
    case 'object':
      return value === null ? null : redactObject(value, depth);
    case 'number':
    case 'boolean':
    case 'undefined':
      return value;
  }
}

function redactObject(value: object, depth: number): unknown {
  if (depth > DEPTH_MAX) return '[deep]';
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Date) return value.toJSON();
  if (Array.isArray(value)) return value.slice(0, ITEMS_MAX).map((item) => redact(item, depth + 1));
  if (value instanceof Set) return [...value].slice(0, ITEMS_MAX).map((item) => redact(item, depth + 1));
  if (value instanceof Map)
    return redactMembers(
      [...value].map(([key, item]) => [String(key), item as unknown]),
      depth,
    );
  if (isError(value)) return redactError(value, depth);
  // A header list ([name, value, name, value]) never comes here: it is an array, and its values are caught by their look.
  return redactMembers(Object.entries(value), depth);
}

/** Errors of another realm (a vm, a test runner) are errors too. */
function isError(value: object): value is Error {
  return value instanceof Error || Object.prototype.toString.call(value) === '[object Error]';
}

function redactError(error: Error, depth: number): Record<string, unknown> {
  const own = Object.entries(error).filter(([name]) => !['message', 'stack', 'name', 'cause'].includes(name));
  return {
    name: error.name,
    message: redactText(error.message),
    ...redactMembers(own, depth),
    ...(error.stack === undefined ? {} : { stack: redactText(error.stack) }),
    ...(error.cause === undefined ? {} : { cause: redact(error.cause, depth + 1) }),
  };
}
