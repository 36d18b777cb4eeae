// One name, one thing: no two exported names alike in src (the simulator is a program of its own), and nothing exported,
// no file and no package that is not used (knip; decision 73). What was there before is listed in known/exports.json.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import ts from 'typescript';
import { root } from './build.mjs';
import { settle } from './known-findings.mjs';

/** Names that a file declares and exports; what it only passes on belongs to the file that declares it. */
export function exportedNames(text) {
  const source = ts.createSourceFile('file.ts', text, ts.ScriptTarget.Latest);
  const names = [];
  for (const statement of source.statements) {
    if (statement.modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) !== true) continue;
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) if (ts.isIdentifier(name)) names.push(name.text);
    } else if (statement.name !== undefined) names.push(statement.name.text);
  }
  // A type and a value of one name in one file are one thing; so are the overloads of a function.
  return [...new Set(names)];
}

/** `{name: files - 1}` of the names that several files export. */
export function namedTwice(files) {
  const places = new Map();
  for (const [path, text] of files) {
    for (const name of exportedNames(text)) places.set(name, [...(places.get(name) ?? []), path]);
  }
  return new Map([...places].filter(([, paths]) => paths.length > 1));
}

function sources() {
  return readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.startsWith('src/simulator/'))
    .map((path) => [path, readFileSync(join(root, path), 'utf8')]);
}

/** `{kind: {'file: name': 1}}` from knip's report. */
export function unused(report) {
  const found = {};
  for (const issue of report.issues) {
    for (const kind of ['files', 'exports', 'types', 'duplicates', 'dependencies', 'devDependencies', 'unresolved']) {
      for (const item of [issue[kind] ?? []].flat(2)) {
        (found[`unused ${kind}`] ??= {})[`${issue.file}: ${item.name}`] = 1;
      }
    }
  }
  return found;
}

function askKnip() {
  const done = spawnSync(
    process.execPath,
    ['node_modules/knip/bin/knip.js', '--reporter', 'json', '--no-exit-code', '--no-progress'],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 },
  );
  if (done.status !== 0) {
    console.error(done.stdout, done.stderr);
    process.exit(1);
  }
  return JSON.parse(done.stdout);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const twice = namedTwice(sources());
  settle({
    file: join(root, 'scripts/known/exports.json'),
    found: {
      'exported twice': Object.fromEntries([...twice].map(([name, paths]) => [name, paths.length - 1])),
      ...unused(askKnip()),
    },
    command: 'npm run exports',
    describe: ([kind, key]) =>
      kind === 'exported twice' ? `${key}: exported by ${twice.get(key).join(' and ')}` : `${kind}: ${key}`,
    advice: 'One name, one thing: rename, or take the export away. Whatever is used by a path only: knip.json',
  });
}
