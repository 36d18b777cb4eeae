// `npm run fuzz -- --minutes 60 [--seed N]`: gives every parser an equal share of the time and prints how many inputs it
// saw. A failure prints the smallest input that breaks the parser, and the seed that finds it again.
import { spawnSync } from 'node:child_process';
import { parseArgs } from 'node:util';
import { root } from './build.mjs';

const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, seed: { type: 'string' } } });
const minutes = Number(values.minutes);
if (!(minutes > 0)) {
  console.error('--minutes wants a number above 0');
  process.exit(2);
}
const env = { ...process.env, FUZZ_MINUTES: String(minutes), ...(values.seed && { FUZZ_SEED: values.seed }) };
const jest = [
  '--experimental-vm-modules',
  '--no-warnings',
  'node_modules/jest/bin/jest.js',
  'test/security/fuzz.test.ts',
];
const done = spawnSync(process.execPath, jest, { cwd: root, stdio: 'inherit', env });
process.exit(done.status ?? 1);
