/**
 * Parts of a JSON text as they stand in it, so that values can be sent on byte for byte. It finds borders and checks
 * nothing: the text must be known to be JSON (parse it first where it comes from outside).
 */

/** The members of an object, each value as raw text. */
export function rawMembers(json: string): readonly (readonly [key: string, value: string])[] {
  const members: (readonly [string, string])[] = [];
  let at = json.indexOf('{') + 1;
  while (at > 0 && at < json.length) {
    const keyStart = json.indexOf('"', at);
    if (keyStart < 0) break;
    const keyEnd = endOfString(json, keyStart);
    const valueStart = json.indexOf(':', keyEnd) + 1;
    const valueEnd = endOfValue(json, valueStart);
    members.push([JSON.parse(json.slice(keyStart, keyEnd)) as string, json.slice(valueStart, valueEnd).trim()]);
    at = valueEnd + 1;
  }
  return members;
}

/** The elements of an array, each as raw text. */
export function rawElements(json: string): readonly string[] {
  const elements: string[] = [];
  let at = json.indexOf('[') + 1;
  while (at > 0 && at < json.length) {
    const end = endOfValue(json, at);
    const text = json.slice(at, end).trim();
    if (text !== '') elements.push(text);
    at = end + 1;
  }
  return elements;
}

/** The index after the closing quote. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** The index of the comma, brace or bracket that ends the value. */
function endOfValue(json: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < json.length) {
    const char = json[at];
    if (char === '"') {
      at = endOfString(json, at);
      continue;
    }
    if (depth === 0 && (char === ',' || char === '}' || char === ']')) return at;
    if (char === '{' || char === '[') depth += 1;
    if (char === '}' || char === ']') depth -= 1;
    at += 1;
  }
  return at;
}
