// `npm run acceptance:instances -- orders`: the acceptance tests whose file name holds that word, or all of them, through
// nginx against three instances of two workers with 300 accounts and a real Redis. OPITIOS_INSTANCES says how many.
import { spawnSync } from 'node:child_process';
import { build, installIfNeeded, root } from './build.mjs';

installIfNeeded();
await build();
const words = process.argv.slice(2);
const jest = ['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'];
const done = spawnSync(
  process.execPath,
  [...jest, '--selectProjects', 'acceptance', '--runInBand', '--forceExit', '--', ...words],
  { cwd: root, stdio: 'inherit', env: { OPITIOS_INSTANCES: '3', ...process.env } },
);
process.exit(done.status ?? 1);
