/** Runs the schema and says what is wrong in our own words: joi's messages repeat values, and a value can be a secret. */
import type Joi from 'joi';
import type { ConfigProblem } from './problems.js';
import { nearestName } from './problems.js';

export interface Validated {
  readonly value: Record<string, unknown>;
  readonly problems: readonly ConfigProblem[];
}

export function validate(schema: Joi.ObjectSchema, input: unknown): Validated {
  const result = schema.validate(input, { abortEarly: false, convert: false, errors: { render: false } });
  const details = result.error?.details ?? [];
  const problems = details.map((detail) => problemOf(schema, detail));
  return { value: result.value as Record<string, unknown>, problems };
}

export function showPath(path: readonly (string | number)[]): string {
  return path.reduce<string>((shown, part) => {
    if (typeof part === 'number') return `${shown}[${part}]`;
    return shown === '' ? part : `${shown}.${part}`;
  }, '');
}

/** The names that may stand at a path; undefined where any name may or none. */
export function knownKeys(schema: Joi.Schema, path: readonly (string | number)[]): readonly string[] | undefined {
  const keys = descend(describe(schema), path)?.['keys'] as Record<string, unknown> | undefined;
  return keys === undefined ? undefined : Object.keys(keys);
}

/** Whether a path takes text: an environment variable there is not read as YAML. */
export function takesText(schema: Joi.Schema, path: readonly string[]): boolean {
  return descend(describe(schema), path)?.type === 'string';
}

/** Describing the schema costs milliseconds and an environment can name many keys. */
const descriptions = new WeakMap<Joi.Schema, Joi.Description>();

function describe(schema: Joi.Schema): Joi.Description {
  const description = descriptions.get(schema) ?? schema.describe();
  descriptions.set(schema, description);
  return description;
}

function descend(description: Joi.Description, path: readonly (string | number)[]): Joi.Description | undefined {
  let here: Joi.Description | undefined = description;
  for (const part of path) {
    if (here === undefined) return undefined;
    const keys = here['keys'] as Record<string, Joi.Description> | undefined;
    const items = here['items'] as Joi.Description[] | undefined;
    const patterns = here['patterns'] as { readonly rule: Joi.Description }[] | undefined;
    here = typeof part === 'number' ? items?.[0] : (keys?.[part] ?? patterns?.[0]?.rule);
  }
  return here;
}

function problemOf(schema: Joi.Schema, detail: Joi.ValidationErrorItem): ConfigProblem {
  const path = showPath(detail.path);
  if (detail.type !== 'object.unknown') return { path, reason: reasonOf(detail) };
  const word = String(detail.path.at(-1) ?? '');
  const nearest = nearestName(word, knownKeys(schema, detail.path.slice(0, -1)) ?? []);
  return { path, reason: 'unknown key', ...(nearest === undefined ? {} : { nearest }) };
}

function reasonOf({ type, context = {} }: Joi.ValidationErrorItem): string {
  const limit = String((context as Record<string, unknown>)['limit']);
  const of = (name: string): string => JSON.stringify((context as Record<string, unknown>)[name]);
  const fixed: Readonly<Record<string, string>> = {
    'any.required': 'is missing',
    'any.only': `must be one of ${of('valids')}`,
    'any.invalid': 'is a reserved name',
    'string.base': 'must be text: put it in quotes',
    'string.empty': 'is empty',
    'string.min': `must have at least ${limit} characters`,
    'string.max': `must have at most ${limit} characters`,
    'string.pattern.name': `must be ${of('name')}`,
    'string.uriCustomScheme': `must be an address of the kind ${of('scheme')}`,
    'boolean.base': 'must be true or false',
    'number.base': 'must be a number without quotes',
    'number.integer': 'must be a whole number',
    'number.min': `must be at least ${limit}`,
    'number.max': `must be at most ${limit}`,
    'object.base': 'must be a mapping of keys to values',
    'array.base': 'must be a list',
    'array.min': `must have at least ${limit} entries`,
    'array.max': `must have at most ${limit} entries`,
    'alternatives.types': `must be one of these kinds: ${of('types')}`,
    'alternatives.match': 'has none of the allowed shapes',
    'symbol.unknown': 'must be the symbol of a stock, a contract or a pair',
    'decimal.base': 'must be a decimal such as "10000.50"',
  };
  return fixed[type] ?? `is not acceptable (${type})`;
}
