// `npm run chaos -- stream-gaps`: the long version of the chaos tests whose file name holds that word; all without one.
import { spawnSync } from 'node:child_process';
import { build, installIfNeeded, root } from './build.mjs';

installIfNeeded();
await build();
const words = process.argv.slice(2);
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
  env: { ...process.env, OPITIOS_LONG: '1' },
});
process.exit(done.status ?? 1);
