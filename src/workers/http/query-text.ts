/** The query part of a target. A parameter given twice is refused: two parsers would disagree on which one counts. */
import type { Problem } from '../../kernel/domain/problem.js';

export type QueryResult =
  | { readonly kind: 'values'; readonly values: Readonly<Record<string, string>> }
  | { readonly kind: 'problem'; readonly problem: Problem };

const NONE: QueryResult = { kind: 'values', values: {} };
const PARAMETERS_MAX = 40;

export function parseQuery(target: string): QueryResult {
  const mark = target.indexOf('?');
  if (mark < 0 || mark === target.length - 1) return NONE;
  const values: Record<string, string> = Object.create(null) as Record<string, string>;
  const parts = target.slice(mark + 1).split('&');
  if (parts.length > PARAMETERS_MAX) return refused('query', 'There are too many parameters.');
  for (const part of parts) {
    const equals = part.indexOf('=');
    const name = decoded(equals < 0 ? part : part.slice(0, equals));
    const value = decoded(equals < 0 ? '' : part.slice(equals + 1));
    if (name === undefined || value === undefined) return refused('query', 'A percent sign is not followed by UTF-8.');
    // joi would assign it, and so change a prototype instead of seeing an unknown name.
    if (name === '__proto__') return refused(name, 'The name is reserved.');
    if (name in values) return refused(name, 'The parameter is given more than once.');
    values[name] = value;
  }
  return { kind: 'values', values };
}

/** In the broker's spelling, without `?`; parameters keep their order. */
export function writeQuery(values: Readonly<Record<string, string | number | boolean | undefined>>): string {
  const parts: string[] = [];
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined) parts.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  }
  return parts.join('&');
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}

function refused(field: string, detail: string): QueryResult {
  const name = field.slice(0, 80);
  return {
    kind: 'problem',
    problem: {
      code: 'validation-failed',
      detail: `${name}: ${detail}`,
      errors: [{ field: name, in: 'query', detail }],
    },
  };
}
