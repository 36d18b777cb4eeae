// Runs a benchmark on the built program: `npm run bench -- quotes [its arguments]`. Benchmarks are TypeScript; their
// types are stripped into dist/bench, where `../src/` means the compiled program beside them.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { build, installIfNeeded, root } from './build.mjs';

export async function buildBenches() {
  installIfNeeded();
  await build();
  const { transformFileSync } = await import('@swc/core');
  for (const folder of ['bench', 'test/support']) {
    for (const name of readdirSync(join(root, folder))) {
      if (!name.endsWith('.ts')) continue;
      const { code } = transformFileSync(join(root, folder, name), {
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'es6' },
      });
      const out = join(root, 'dist/bench', folder, name.replace(/ts$/, 'js'));
      mkdirSync(dirname(out), { recursive: true });
      writeFileSync(out, code.replaceAll('../src/', '../../').replaceAll('../../dist/', '../../../'));
    }
  }
}

const benches = () =>
  readdirSync(join(root, 'bench'))
    .filter((name) => name.endsWith('.ts'))
    .map((name) => name.replace(/\.ts$/, ''))
    .filter((name) => readFileSync(join(root, 'bench', `${name}.ts`), 'utf8').includes('export const isBenchmark'));

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [name, ...rest] = process.argv.slice(2);
  if (name === undefined || !benches().includes(name)) {
    console.error(`npm run bench -- NAME [arguments]; NAME is one of: ${benches().join(', ')}`);
    process.exit(2);
  }
  await buildBenches();
  const done = spawnSync(process.execPath, ['--no-warnings', join(root, `dist/bench/bench/${name}.js`), ...rest], {
    stdio: 'inherit',
  });
  process.exit(done.status ?? 1);
}
