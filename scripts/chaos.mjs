// `npm run chaos -- stream-gaps`: the long version of the chaos tests whose file name holds that word; all without one.
// `--from N` and `--seeds N` choose the seeds of a random test: a sitting that ended is taken up where it stopped.
import { spawnSync } from 'node:child_process';
import { build, installIfNeeded, root } from './build.mjs';

installIfNeeded();
await build();
const words = process.argv.slice(2);
const seeds = {};
for (const [option, variable] of [
  ['--from', 'OPITIOS_FROM'],
  ['--seeds', 'OPITIOS_SEEDS'],
]) {
  const at = words.indexOf(option);
  if (at < 0) continue;
  const [, value] = words.splice(at, 2);
  if (!/^[1-9]\d*$/.test(value ?? '')) throw new TypeError(`${option} takes a whole number above 0`);
  seeds[variable] = value;
}
const jest = [
  '--experimental-vm-modules',
  '--no-warnings',
  'node_modules/jest/bin/jest.js',
  '--selectProjects',
  'chaos',
];
const done = spawnSync(process.execPath, [...jest, '--runInBand', '--forceExit', '--', ...words], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, OPITIOS_LONG: '1', ...seeds },
});
process.exit(done.status ?? 1);
