/** Joi's `when` as JSON Schema's if/then/else, for the document: which field the chosen type cannot do without. */
import type { JsonSchema } from './fields.js';

/** The part of `joi.describe()` that speaks of conditions. */
export interface Conditional {
  readonly flags?: { readonly presence?: string };
  readonly allow?: readonly unknown[];
  readonly keys?: Readonly<Record<string, Conditional>>;
  readonly dependencies?: readonly { readonly rel: string; readonly peers: readonly string[] }[];
  readonly whens?: readonly When[];
}

interface When {
  readonly ref?: { readonly path: readonly string[] };
  readonly is?: Conditional;
  readonly then?: Conditional;
  readonly otherwise?: Conditional;
}

/** Everything an object asks for beyond its single fields. */
export function conditionsOf(object: Conditional): JsonSchema[] {
  const ofFields = Object.entries(object.keys ?? {}).flatMap(([name, field]) =>
    (field.whens ?? []).map((when) => rule(when, (outcome) => presence(name, outcome))),
  );
  const ofObject = (object.whens ?? []).map((when) => rule(when, (outcome) => alternatives(outcome)));
  return [...alternativesOf(object), ...ofFields, ...ofObject];
}

function rule(when: When, outcomeOf: (outcome: Conditional) => JsonSchema | undefined): JsonSchema {
  const then = when.then === undefined ? undefined : outcomeOf(when.then);
  const otherwise = when.otherwise === undefined ? undefined : outcomeOf(when.otherwise);
  return {
    if: testOf(when),
    ...(then === undefined ? {} : { then }),
    ...(otherwise === undefined ? {} : { else: otherwise }),
  };
}

function testOf({ ref, is }: When): JsonSchema {
  const tests: readonly (readonly [string, Conditional | undefined])[] =
    ref === undefined ? Object.entries(is?.keys ?? {}) : [[ref.path[0] ?? '', is]];
  return {
    properties: Object.fromEntries(tests.map(([name, test]) => [name, { enum: test?.allow ?? [] }])),
    required: tests.map(([name]) => name),
  };
}

function presence(name: string, outcome: Conditional): JsonSchema | undefined {
  const [nested] = outcome.whens ?? [];
  if (nested !== undefined) return rule(nested, (inner) => presence(name, inner));
  if (outcome.flags?.presence === 'required') return { required: [name] };
  return outcome.flags?.presence === 'forbidden' ? { properties: { [name]: false } } : undefined;
}

function alternatives(outcome: Conditional): JsonSchema | undefined {
  const all = alternativesOf(outcome);
  return all.length === 0 ? undefined : { allOf: all };
}

function alternativesOf({ dependencies }: Conditional): JsonSchema[] {
  return (dependencies ?? []).map(({ rel, peers }) => {
    if (rel === 'oxor') return { not: { required: [...peers] } };
    const each = peers.map((peer) => ({ required: [peer] }));
    return rel === 'xor' ? { oneOf: each } : { anyOf: each };
  });
}
