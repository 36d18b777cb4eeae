// Compiles src to dist. Installs first when node_modules is missing or older than the lock file, so that a fresh
// clone needs one command.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, lstatSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const root = new URL('..', import.meta.url).pathname;

export function run(command, args, options = {}) {
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (done.error) throw done.error;
  if (done.status !== 0) process.exit(done.status ?? 1);
}

/** Remembers which lock file node_modules was installed from: times lie after a clone or a copy. */
export function installIfNeeded() {
  const modules = join(root, 'node_modules');
  // A link is a tree shared with another checkout: npm would empty it there.
  if (lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink() === true) return;
  const marker = join(modules, '.installed-from');
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === lock) return;
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  writeFileSync(marker, lock);
}

export async function build() {
  // Names of chunks change with what is in them.
  rmSync(join(root, 'dist/chunks'), { recursive: true, force: true });
  run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json']);
  // Files that are data, not code, go beside the compiled module that reads them.
  for (const assets of ['src/workers/http/assets', 'src/primary/control-plane/assets']) {
    if (existsSync(join(root, assets)))
      cpSync(join(root, assets), join(root, assets.replace('src', 'dist')), { recursive: true });
  }
  // Not before the packages are installed.
  const { bundle } = await import('./bundle.mjs');
  await bundle(root);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  installIfNeeded();
  await build();
}
