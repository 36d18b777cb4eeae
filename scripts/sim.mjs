// `npm run sim -- --seeds 2000 [--from 1]`: the order core against a lying broker, one virtual world a seed.
import { option, SimulationBuild } from './simulation.mjs';

const build = new SimulationBuild('sim');
try {
  build.compile();
  const { runSeeds } = await build.load();
  const started = performance.now();
  const report = await runSeeds(option('from', 1), option('seeds', 2000));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (report.failure === undefined) {
    console.log(
      `${report.seeds} seeds, ${report.intents} intents, ${report.unknowns} left unknown at last telling, ${seconds} s: no violation`,
    );
  } else {
    console.log(`seed ${report.failure.seed}: ${report.failure.violation}`);
    console.log(JSON.stringify(report.failure.options, null, 2));
    process.exitCode = 1;
  }
} finally {
  build.remove();
}
