// Compiles the order core and its simulation to a directory of its own, with an edit here and there for mutants.
import { transformSync } from '@swc/core';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './build.mjs';

const SOURCES = ['src/kernel', 'src/workers/orders', 'src/workers/accounts', 'test/simulation'];
const OPTIONS = { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' }, module: { type: 'es6' } };

export class SimulationBuild {
  constructor(name) {
    mkdirSync(join(root, 'dist'), { recursive: true });
    this.dir = mkdtempSync(join(root, 'dist', `.simulation-${name}-`));
    writeFileSync(join(this.dir, 'package.json'), '{"type":"module"}');
    symlinkSync(join(root, 'node_modules'), join(this.dir, 'node_modules'));
  }

  /** `edits`: [{ file, find, replace }]; an edit that finds nothing is a mistake in the list of mutants. */
  compile(edits = []) {
    const left = new Set(edits);
    for (const path of SOURCES.flatMap((source) => listed(join(root, source)))) {
      const file = relative(root, path);
      let text = readFileSync(path, 'utf8');
      for (const edit of edits.filter((each) => each.file === file)) {
        if (!text.includes(edit.find)) throw new Error(`nothing to edit in ${file}: ${edit.find}`);
        text = text.replace(edit.find, () => edit.replace);
        left.delete(edit);
      }
      const out = join(this.dir, file.replace(/\.ts$/, '.js'));
      mkdirSync(dirname(out), { recursive: true });
      writeFileSync(out, transformSync(text, { ...OPTIONS, filename: path }).code);
    }
    if (left.size > 0) throw new Error(`no such file: ${[...left][0].file}`);
  }

  /** A module of test/simulation. */
  load(module = 'run-seeds.js') {
    return import(pathToFileURL(join(this.dir, 'test/simulation', module)).href);
  }

  remove() {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function listed(path) {
  if (path.endsWith('.ts')) return [path];
  return readdirSync(path, { withFileTypes: true })
    .flatMap((entry) => (entry.isDirectory() ? listed(join(path, entry.name)) : [join(path, entry.name)]))
    .filter((name) => name.endsWith('.ts'));
}

/** `--name 5` on the command line. */
export function option(name, fallback) {
  const at = process.argv.indexOf(`--${name}`);
  return at === -1 ? fallback : Number(process.argv[at + 1]);
}
