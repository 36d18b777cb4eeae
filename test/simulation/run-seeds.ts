/** Runs seeds one after another and stops at the first that breaks an invariant. */
import { swarmOptions, type SwarmOptions } from './swarm-options.js';
import { World } from './world.js';

export interface SeedFailure {
  readonly seed: number;
  readonly options: SwarmOptions;
  readonly violation: string;
}

export interface SeedReport {
  readonly seeds: number;
  readonly intents: number;
  readonly unknowns: number;
  readonly failure: SeedFailure | undefined;
}

export async function runSeeds(first: number, count: number): Promise<SeedReport> {
  let intents = 0;
  let unknowns = 0;
  for (let seed = first; seed < first + count; seed += 1) {
    const options = swarmOptions(seed);
    try {
      const told = await new World(options).run();
      intents += told.intents;
      unknowns += told.unknowns;
    } catch (cause) {
      const violation = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause);
      return { seeds: seed - first + 1, intents, unknowns, failure: { seed, options, violation } };
    }
  }
  return { seeds: count, intents, unknowns, failure: undefined };
}
