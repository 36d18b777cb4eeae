/** What fuzzing feeds parsers with: texts near the good ones, texts out of nowhere, objects of known names. */
import fc from 'fast-check';
import { GatewayError } from '../../src/kernel/domain/errors.js';

/** A promise of a parser that did not hold. */
export function expectThat(holds: boolean, what: string): void {
  if (!holds) throw new TypeError(what);
}

/** What the parser returns; undefined when it refused with an error of ours. Any other error goes on. */
export function orRefused<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (cause) {
    if (cause instanceof GatewayError) return undefined;
    throw cause;
  }
}

export const anyText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({ unit: 'grapheme', maxLength: 80 }),
);
export const json = fc.json({ maxDepth: 6 });

/** A good text with a piece cut out, put in or doubled. */
export function near(good: fc.Arbitrary<string>): fc.Arbitrary<string> {
  const change = fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat({ max: 8 }),
    put: fc.oneof(
      fc.constant(''),
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.constantFrom('"', '\\', '{', ']', ',', '\0', '\n', '.'),
    ),
  });
  return fc.tuple(good, fc.array(change, { maxLength: 3 })).map(([text, changes]) =>
    changes.reduce((kept, { at, cut, put }) => {
      const index = Math.floor(at * kept.length);
      return kept.slice(0, index) + put + kept.slice(index + cut);
    }, text),
  );
}

/** An object of these names, some absent, with values of every kind. */
export function objectOf(names: readonly string[]): fc.Arbitrary<Record<string, unknown>> {
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    fc.constantFrom('*', 'read', 'AAPL', 'account_001', 1e308, -1, 0.5, '', null),
    fc.array(fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('read', 'AAPL', '*', 'account_001')), {
      maxLength: 5,
    }),
  );
  return fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.constantFrom('__proto__', 'constructor', 'x')), value, {
    maxKeys: 8,
  });
}
