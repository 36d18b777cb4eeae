/** Runs programs one after another; the first that fails is shrunk to the steps that it needs. */
import { exposureProgram, type ExposureProgram } from './exposure-program.js';
import { ExposureWorld } from './exposure-world.js';

export interface ExposureReport {
  readonly programs: number;
  readonly failure:
    { readonly seed: number; readonly wrong: readonly string[]; readonly program: ExposureProgram } | undefined;
}

export async function runExposure(first: number, count: number): Promise<ExposureReport> {
  for (let seed = first; seed < first + count; seed += 1) {
    const program = exposureProgram(seed);
    const wrong = await verdictOf(program);
    if (wrong.length === 0) continue;
    const shrunk = await shrink(program);
    return { programs: seed - first + 1, failure: { seed, wrong: await verdictOf(shrunk), program: shrunk } };
  }
  return { programs: count, failure: undefined };
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
