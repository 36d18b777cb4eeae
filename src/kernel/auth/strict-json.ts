/**
 * JSON that means one thing. JSON.parse keeps the last of two equal keys, another reader the first: a token whose claims
 * two parsers read differently is an attack (RFC 8725 3.12; all three libraries we measured accept it).
 */
const BACKSLASH = 92;
const QUOTE = 34;

/** @returns undefined when the text is no JSON object, `'duplicate-key'` when any object in it repeats a key. */
export function parseStrictObject(text: string): Readonly<Record<string, unknown>> | 'duplicate-key' | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return repeatsKey(text) ? 'duplicate-key' : (value as Readonly<Record<string, unknown>>);
}

/** @param text is valid JSON, so that brackets and quotes need no further checks. */
function repeatsKey(text: string): boolean {
  const open: (Set<string> | undefined)[] = [];
  let keyNext = false;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === '{') open.push(new Set());
    else if (sign === '[') open.push(undefined);
    else if (sign === '}' || sign === ']') open.pop();
    if (sign === '{' || sign === ',') keyNext = true;
    if (sign !== '"') continue;
    const end = endOfString(text, at);
    const keys = open.at(-1);
    if (keyNext && keys !== undefined) {
      const key = JSON.parse(text.slice(at, end + 1)) as string;
      if (keys.has(key)) return true;
      keys.add(key);
    }
    keyNext = false;
    at = end;
  }
  return false;
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === BACKSLASH) at += 1;
    else if (code === QUOTE) return at;
  }
  return text.length;
}
