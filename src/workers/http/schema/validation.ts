/** Runs a joi schema and turns its complaints into field errors that never repeat what the caller sent. */
import type joi from 'joi';
import type { FieldError, Problem } from '../../../kernel/domain/problem.js';

export type Validated =
  | { readonly kind: 'value'; readonly value: Readonly<Record<string, unknown>> }
  | { readonly kind: 'problem'; readonly problem: Problem };

const ERRORS_MAX = 10;

/** By joi's code; the value itself is never quoted. */
const SENTENCES: Readonly<Record<string, string>> = {
  'any.required': 'is required',
  'any.unknown': 'is not allowed here',
  'object.unknown': 'is not a known field',
  'object.base': 'must be an object',
  'object.missing': 'one of the alternatives is required',
  'object.xor': 'excludes the other one',
  'object.oxor': 'excludes the other one',
  'object.min': 'at least one field is required',
  'string.base': 'must be a string',
  'string.empty': 'must not be empty',
  'string.pattern.base': 'has the wrong shape',
  'string.max': 'is too long',
  'number.base': 'must be a number',
  'number.integer': 'must be a whole number',
  'number.unsafe': 'is out of range',
  'boolean.base': 'must be true or false',
  'array.base': 'must be a list',
  'array.max': 'has too many entries',
  'array.min': 'has too few entries',
  'decimal.base': 'must be a decimal',
  'decimal.shape': 'must be a plain decimal of at most 12 digits before the point and nine behind it',
  'decimal.negative': 'must not be negative',
  'decimal.zero': 'must be greater than zero',
  'symbols.base': 'must be a list of symbols',
  'symbols.count': 'must hold between 1 and 5000 symbols',
  'symbols.item': 'must hold strings only',
};

export function validate(schema: joi.ObjectSchema, value: unknown, place: FieldError['in']): Validated {
  // Only text that cannot carry another type is converted; a body's values stay as they came.
  const result = schema.validate(value, { abortEarly: false, convert: place === 'query', errors: { render: false } });
  if (result.error === undefined) return { kind: 'value', value: result.value as Readonly<Record<string, unknown>> };
  const errors = result.error.details.slice(0, ERRORS_MAX).flatMap((detail) => fieldErrors(detail, place));
  const first = errors[0] ?? { field: place, detail: 'is not acceptable' };
  return {
    kind: 'problem',
    problem: { code: 'validation-failed', detail: `${first.field} ${first.detail}`, errors },
  };
}

function fieldErrors(detail: joi.ValidationErrorItem, place: FieldError['in']): FieldError[] {
  const sentence = sentenceOf(detail);
  const path = fieldPath(detail.path);
  // Rules over several fields are reported at their object: name the fields they speak of.
  const peers = (detail.context?.['peers'] ?? detail.context?.['present']) as readonly string[] | undefined;
  const names =
    peers === undefined ? [path === '' ? place : path] : peers.map((peer) => (path === '' ? peer : `${path}.${peer}`));
  return names.map((field) => ({ field: field.slice(0, 80), in: place, detail: sentence }));
}

function sentenceOf(detail: joi.ValidationErrorItem): string {
  const context = detail.context as { valids?: readonly unknown[]; limit?: unknown } | undefined;
  if (detail.type === 'any.only')
    return `must be one of: ${(context?.valids ?? []).map((valid) => (valid === '' ? '(empty)' : String(valid))).join(', ')}`;
  if (detail.type === 'number.min') return `must be at least ${String(context?.limit)}`;
  if (detail.type === 'number.max') return `must be at most ${String(context?.limit)}`;
  return SENTENCES[detail.type] ?? 'is not acceptable';
}

function fieldPath(path: readonly (string | number)[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`;
    return text === '' ? part : `${text}.${part}`;
  }, '');
}
