/** Runs programs one after another; the first that fails is shrunk to the steps that it needs. */
import { exposureProgram, type ExposureProgram } from './exposure-program.js';
import { ExposureWorld } from './exposure-world.js';

export interface ExposureReport {
  readonly programs: number;
  readonly failure:
    { readonly seed: number; readonly wrong: readonly string[]; readonly program: ExposureProgram } | undefined;
}

export async function runExposure(first: number, count: number): Promise<ExposureReport> {
  const found = await firstFailure(first, count);
  if (found === undefined) return { programs: count, failure: undefined };
  const program = await shrink(exposureProgram(found.seed));
  const wrong = await verdictOf(program);
  return { programs: found.seed - first + 1, failure: { seed: found.seed, wrong, program } };
}

/** As it was found: not shrunk. */
export async function firstFailure(
  first: number,
  count: number,
): Promise<{ readonly seed: number; readonly wrong: readonly string[] } | undefined> {
  for (let seed = first; seed < first + count; seed += 1) {
    const wrong = await verdictOf(exposureProgram(seed));
    if (wrong.length > 0) return { seed, wrong };
  }
  return undefined;
}

async function verdictOf(program: ExposureProgram): Promise<readonly string[]> {
  return new ExposureWorld(program).run();
}

/** Leaves out steps and faults while something still goes wrong. */
async function shrink(program: ExposureProgram): Promise<ExposureProgram> {
  let smallest = program;
  for (let size = Math.ceil(program.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
    for (let at = 0; at < smallest.steps.length;) {
      const steps = [...smallest.steps.slice(0, at), ...smallest.steps.slice(at + size)];
      const candidate = { ...smallest, steps };
      if ((await verdictOf(candidate)).length > 0) smallest = candidate;
      else at += size;
    }
  }
  for (const name of Object.keys(program.faults) as (keyof ExposureProgram['faults'])[]) {
    const candidate = { ...smallest, faults: { ...smallest.faults, [name]: 0 } };
    if ((await verdictOf(candidate)).length > 0) smallest = candidate;
  }
  return smallest;
}
