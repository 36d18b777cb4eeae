// `npm run sim:exposure -- --seeds 500 [--from 1]`: random programs of orders, closes, replaces and takeovers against a
// virtual book; what fails is printed with its seed, shrunk to the steps that it needs.
// `npm run sim:exposure -- --http --programs 50 [--from 1]`: the programs against real processes, over HTTP.
import { spawnSync } from 'node:child_process';
import { build as buildProgram, installIfNeeded, root } from './build.mjs';
import { option, SimulationBuild } from './simulation.mjs';

if (process.argv.includes('--http')) {
  installIfNeeded();
  await buildProgram();
  const environment = {
    OPITIOS_HTTP_PROGRAMS: String(option('programs', 50)),
    OPITIOS_FROM: String(option('from', 1)),
  };
  const jest = [
    '--experimental-vm-modules',
    '--no-warnings',
    'node_modules/jest/bin/jest.js',
    '--selectProjects',
    'chaos',
  ];
  const done = spawnSync(process.execPath, [...jest, '--forceExit', '--', 'exposure-over-http'], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, ...environment },
  });
  process.exit(done.status ?? 1);
}

const build = new SimulationBuild('exposure');
try {
  build.compile();
  const { runExposure } = await build.load('exposure/run-exposure.js');
  const started = performance.now();
  const { programs, failure } = await runExposure(option('from', 1), option('seeds', 500));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  if (failure === undefined) {
    console.log(`${programs} programs, ${seconds} s: no violation`);
  } else {
    console.log(`seed ${failure.seed}: ${failure.wrong.join('; ')}`);
    console.log(
      failure.program.steps.map((step) => JSON.stringify(step)).join('\n') +
        '\n' +
        JSON.stringify({ ...failure.program, steps: undefined }),
    );
    process.exitCode = 1;
  }
} finally {
  build.remove();
}
