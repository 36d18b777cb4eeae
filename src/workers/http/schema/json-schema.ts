/**
 * Turns the joi schemas of this edge into JSON Schema 2020-12. Our own converter, because it must know our own decimals
 * and nothing that we do not use: a kind it does not know stops the program at start instead of leaving a gap.
 */
import type joi from 'joi';
import { GatewayError } from '../../../kernel/domain/errors.js';
import { conditionsOf, type Conditional } from './conditions.js';
import type { JsonSchema } from './fields.js';

interface Described extends Conditional {
  readonly type?: string;
  readonly flags?: {
    readonly description?: string;
    readonly presence?: string;
    readonly only?: boolean;
    readonly default?: unknown;
    readonly unknown?: boolean;
  };
  readonly allow?: readonly unknown[];
  readonly examples?: readonly unknown[];
  readonly rules?: readonly { readonly name: string; readonly args?: Readonly<Record<string, unknown>> }[];
  readonly keys?: Readonly<Record<string, Described>>;
  readonly items?: readonly Described[];
  readonly metas?: readonly { readonly jsonSchema?: JsonSchema }[];
}

export function toJsonSchema(schema: joi.AnySchema): JsonSchema {
  return convert(schema.describe());
}

function convert(described: Described): JsonSchema {
  const own = described.metas?.find((meta) => meta.jsonSchema !== undefined)?.jsonSchema;
  const base = own ?? byType(described);
  const { description, default: standard } = described.flags ?? {};
  return {
    ...base,
    ...(description === undefined ? {} : { description }),
    ...(standard === undefined ? {} : { default: standard }),
    ...(described.examples === undefined ? {} : { examples: described.examples }),
  };
}

function byType(described: Described): JsonSchema {
  switch (described.type) {
    case 'string':
      return described.flags?.only === true
        ? { type: 'string', enum: described.allow ?? [] }
        : { type: 'string', ...rulesOf(described) };
    case 'number':
      return { type: ruleNames(described).has('integer') ? 'integer' : 'number', ...rulesOf(described) };
    case 'boolean':
      return { type: 'boolean' };
    case 'array':
      return { type: 'array', items: convert(described.items?.[0] ?? { type: 'any' }), ...rulesOf(described) };
    case 'object':
      return objectSchema(described);
    case 'any':
      return {};
    default:
      throw new GatewayError(
        'ASSERTION_FAILED',
        { type: described.type },
        { message: 'a schema kind the document does not know' },
      );
  }
}

function objectSchema(described: Described): JsonSchema {
  const entries = Object.entries(described.keys ?? {});
  const required = entries.filter(([, value]) => value.flags?.presence === 'required').map(([name]) => name);
  const conditions = conditionsOf(described);
  return {
    type: 'object',
    properties: Object.fromEntries(entries.map(([name, value]) => [name, convert(value)])),
    ...(required.length === 0 ? {} : { required }),
    ...(described.flags?.unknown === true ? {} : { additionalProperties: false }),
    ...(conditions.length === 0 ? {} : { allOf: conditions }),
    ...(ruleNames(described).has('min') ? { minProperties: 1 } : {}),
  };
}

function ruleNames(described: Described): ReadonlySet<string> {
  return new Set((described.rules ?? []).map((rule) => rule.name));
}

const LIMITS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  string: { min: 'minLength', max: 'maxLength' },
  number: { min: 'minimum', max: 'maximum' },
  array: { min: 'minItems', max: 'maxItems' },
};

function rulesOf(described: Described): JsonSchema {
  const schema: Record<string, unknown> = {};
  for (const { name, args } of described.rules ?? []) {
    const keyword = LIMITS[described.type ?? '']?.[name];
    if (keyword !== undefined) schema[keyword] = args?.['limit'];
    // joi writes the pattern as `/…/flags`; JSON Schema knows no flags.
    const pattern = name === 'pattern' ? /^\/(.*)\/(i?)$/s.exec(String(args?.['regex'])) : null;
    if (pattern !== null) schema['pattern'] = pattern[2] === 'i' ? caseless(pattern[1] ?? '') : pattern[1];
  }
  return schema;
}

/** Letters of our patterns without case stand in ranges only. */
function caseless(source: string): string {
  return source.replaceAll(/[a-z]-[a-z]/gi, (range) => `${range.toUpperCase()}${range.toLowerCase()}`);
}
