/** A second for each parser here; `npm run fuzz -- --minutes 60` gives them as long as asked. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FUZZ_TARGETS } from '../support/fuzz-targets.js';

const minutes = Number(process.env['FUZZ_MINUTES'] ?? 0);
const budgetMs = minutes > 0 ? (minutes * 60_000) / FUZZ_TARGETS.length : 1_000;
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
/** No single input may take longer: that would be a way to stop a worker. */
const INPUT_MS_MAX = 5_000;

test.each(FUZZ_TARGETS)(
  'the parser of $name answers or refuses, whatever comes',
  async ({ name, property }) => {
    let slowestMs = 0;
    const timed = Object.create(property) as typeof property;
    timed.run = (value) => {
      const start = performance.now();
      try {
        return property.run(value);
      } finally {
        slowestMs = Math.max(slowestMs, performance.now() - start);
      }
    };
    const details = await fc.check(timed, {
      seed,
      numRuns: Number.MAX_SAFE_INTEGER,
      interruptAfterTimeLimit: budgetMs,
      markInterruptAsFailure: false,
    });
    if (minutes > 0) console.info(`${name}: ${details.numRuns} inputs, seed ${seed}`);

    if (details.failed)
      throw new TypeError(
        `seed ${seed}: ${String(details.counterexamplePath)} ${fc.stringify(details.counterexample)}`,
      );
    expect(details.numRuns).toBeGreaterThan(5);
    expect(slowestMs).toBeLessThan(INPUT_MS_MAX);
  },
  budgetMs + 60_000,
);
