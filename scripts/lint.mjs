// ESLint with types, only where something can have changed. What a rule says of a file depends on the file, on what it
// imports, directly or not, and on the rules, the compiler's options and the packages: a file is left out when all of
// that is as it was when the file was last clean. `--all` looks at every file.
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { root } from './build.mjs';

const FOLDERS = ['src', 'test', 'bench'];
const CACHE = join(root, '.cache/lint.json');
const SHARED = ['eslint.config.mjs', 'tsconfig.json', 'package.json', 'package-lock.json', 'scripts/lint.mjs'];

const hashOf = (...parts) =>
  parts.reduce((hash, part) => hash.update(part).update('\0'), createHash('sha256')).digest('hex');

/** What each file imports of the others. `files`: text by path; a path is as it stands in `files`. */
export function importsOf(files) {
  return new Map(
    [...files].map(([path, text]) => {
      const { importedFiles } = ts.preProcessFile(text, true, true);
      const found = importedFiles
        .filter(({ fileName }) => fileName.startsWith('.'))
        .map(({ fileName }) => resolve(dirname(path), fileName).replace(/\.js$/, '.ts'))
        .filter((target) => files.has(target));
      return [path, found];
    }),
  );
}

/** For each file a hash of it, of what it reaches, and of `shared`. */
export function closureHashes(files, shared) {
  const imports = importsOf(files);
  const own = new Map([...files].map(([path, text]) => [path, hashOf(path, text)]));
  // A declaration for all is reached from everywhere.
  const global = [...files].filter(([, text]) => /^\s*declare (?:global|module)\b/m.test(text)).map(([path]) => path);
  const hashes = new Map();
  for (const path of files.keys()) {
    const reached = new Set([path, ...global]);
    for (const one of reached) for (const next of imports.get(one)) reached.add(next);
    hashes.set(path, hashOf(shared, ...[...reached].map((one) => own.get(one)).sort()));
  }
  return hashes;
}

function readCache() {
  try {
    return JSON.parse(readFileSync(CACHE, 'utf8'));
  } catch {
    return {};
  }
}

async function lint() {
  const paths = FOLDERS.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const files = new Map(paths.map((path) => [path, readFileSync(path, 'utf8')]));
  const shared = hashOf(process.version, ...SHARED.map((path) => readFileSync(join(root, path))));
  const hashes = closureHashes(files, shared);
  const clean = process.argv.includes('--all') ? {} : readCache();
  const due = paths.filter((path) => clean[relative(root, path)] !== hashes.get(path));
  let found = 0;
  if (due.length > 0) {
    const { ESLint } = await import('eslint');
    const eslint = new ESLint({ cwd: root });
    const results = await eslint.lintFiles(due);
    for (const { filePath, messages } of results) {
      found += messages.length;
      if (messages.length === 0) clean[relative(root, filePath)] = hashes.get(filePath);
    }
    const text = (await eslint.loadFormatter('stylish')).format(results);
    if (text !== '') console.log(text);
  }
  const present = Object.entries(clean).filter(([path]) => files.has(join(root, path)));
  mkdirSync(dirname(CACHE), { recursive: true });
  writeFileSync(CACHE, JSON.stringify(Object.fromEntries(present)));
  console.log(`lint: ${due.length} of ${paths.length} files looked at, ${found} findings`);
  process.exit(found > 0 ? 1 : 0);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await lint();
