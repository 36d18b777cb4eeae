// `npm run sim:mutants [-- --seeds 200]`: shows that the simulation can find something. Prints the table; a mutant that
// lives is a failure.
import { MUTANTS } from './mutants.mjs';
import { option, SimulationBuild } from './simulation.mjs';

const seeds = option('seeds', 200);
const only = option('only', undefined);
let living = 0;
console.log('| mutant | killed at seed | by |\n|---|---|---|');
for (const [index, { name, edits }] of MUTANTS.entries()) {
  if (only !== undefined && only !== index) continue;
  const build = new SimulationBuild('mutant');
  try {
    build.compile(edits);
    const { runSeeds } = await build.load();
    const { failure } = await runSeeds(1, seeds);
    if (failure === undefined) living += 1;
    const by = failure?.violation
      .split('\n')[0]
      .replace(/^Error: /, '')
      .slice(0, 90);
    console.log(`| ${name} | ${failure?.seed ?? 'LIVES'} | ${by ?? ''} |`);
  } finally {
    build.remove();
  }
}
console.log(`\n${MUTANTS.length - living} of ${MUTANTS.length} mutants killed`);
process.exitCode = living === 0 ? 0 : 1;
