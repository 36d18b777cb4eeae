// Everything that a change must pass before its tests are worth running, two checks at a time, each with its seconds.
// Every check runs, whatever the others find.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { installIfNeeded, root } from './build.mjs';

installIfNeeded();
/** The longest first. */
const CHECKS = ['lint', 'types', 'layers', 'exports', 'words', 'format'];

function run(name) {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const child = spawn('npm', ['run', '--silent', name], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => (text += bytes));
    child.on('close', (status) => {
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name} ${seconds} s\n${text.trim()}`.trim());
      resolve(status === 0);
    });
  });
}

const left = [...CHECKS];
const passed = [];
const lane = async () => {
  for (let name = left.shift(); name !== undefined; name = left.shift()) passed.push(await run(name));
};
await Promise.all(Array.from({ length: Math.max(1, Math.min(2, availableParallelism())) }, lane));
process.exit(passed.every(Boolean) ? 0 : 1);
