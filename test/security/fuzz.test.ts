/** A minute over all parsers here; `npm run fuzz -- --minutes 60` gives them as long as asked. */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { spawnSync } from 'node:child_process';
import { FUZZ_TARGETS } from '../support/fuzz-targets.js';
import { guardAgainstHanging, WATCH } from '../support/hang-guard.js';

const minutes = Number(process.env['FUZZ_MINUTES'] ?? 0);
const budgetMs = ((minutes > 0 ? minutes : 1) * 60_000) / FUZZ_TARGETS.length;
const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);

test.each(FUZZ_TARGETS)(
  'the parser of $name answers or refuses, whatever comes',
  async ({ name, property }) => {
    const guard = guardAgainstHanging(`parser of ${name}, seed ${seed}`);
    const guarded = Object.create(property) as typeof property;
    guarded.run = (value) => guard.step(() => property.run(value));
    const details = await fc.check(guarded, {
      seed,
      numRuns: Number.MAX_SAFE_INTEGER,
      interruptAfterTimeLimit: budgetMs,
      markInterruptAsFailure: false,
    });
    await guard.close();
    if (minutes > 0) process.stdout.write(`${name}: ${details.numRuns} inputs, seed ${seed}\n`);

    if (details.failed)
      throw new TypeError(
        `seed ${seed}: ${String(details.counterexamplePath)} ${fc.stringify(details.counterexample)}`,
      );
    expect(details.numRuns).toBeGreaterThan(5);
  },
  budgetMs + 120_000,
);

test('a parser that never answers ends the run and is named', () => {
  const program = `
    const { Worker } = require('node:worker_threads');
    const steps = new SharedArrayBuffer(4);
    new Worker(${JSON.stringify(WATCH)}, { eval: true, workerData: { steps, what: 'the slow one', boundMs: 200 } });
    Atomics.add(new Int32Array(steps), 0, 1);
    setTimeout(() => { for (;;); }, 100);`;
  const done = spawnSync(process.execPath, ['-e', program], { encoding: 'utf8', timeout: 25_000 });

  expect(done.signal).toBe('SIGKILL');
  expect(done.stderr).toBe('hangs: the slow one\n');
});
