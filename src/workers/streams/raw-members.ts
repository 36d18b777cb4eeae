/**
 * The members of a JSON object as raw text, so that the broker's values can be sent on byte for byte. Takes text that
 * is known to be a JSON object; it finds borders and checks nothing.
 */
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

/** The index after the closing quote. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (at < json.length && json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** The index of the comma or brace that ends the value. */
function endOfValue(json: string, start: number): number {
  let depth = 0;
  let at = start;
  while (at < json.length) {
    const char = json[at];
    if (char === '"') {
      at = endOfString(json, at);
      continue;
    }
    if (depth === 0 && (char === ',' || char === '}')) return at;
    if (char === '{' || char === '[') depth += 1;
    if (char === '}' || char === ']') depth -= 1;
    at += 1;
  }
  return at;
}
