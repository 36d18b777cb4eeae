/** The checks of `npm run check` that are ours: each finds what it is for, and an old list only gets shorter. */
import { expect, test } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const script = (name: string): Promise<any> => import(join(process.cwd(), 'scripts', `${name}.mjs`));

test.each([
  ['a comment', 'src/a.ts', '// the peer is told\n', { told: 1 }],
  ['a comment of several lines', 'src/a.ts', '/**\n * open for\n * ever\n */\n', { 'for ever': 1 }],
  ['a message', 'src/a.ts', "log.info('nobody listens');\n", { nobody: 1 }],
  ['a message with values', 'src/a.ts', 'const text = `${name} was heard twice`;\n', { heard: 1 }],
  ['a name', 'src/a.ts', 'function tellAll(adminDoor: Door): void {}\n', { tell: 1, door: 1 }],
  ['a private member', 'src/a.ts', 'class A { #seats = 1; mendLater(): void {} }\n', { seat: 1, mend: 1 }],
  ['the name of a file', 'src/market-door.ts', '', { door: 1 }],
  ['a page', 'docs/a.md', 'It is done anew, elsewhere.\n', { anew: 1, elsewhere: 1 }],
  ['a comment in a configuration', 'config/a.yaml', 'port: 1 # the door\n', { door: 1 }],
])('a word of the list is found in %s', async (_name, path, text, found) => {
  expect((await script('plain-words')).wordsIn(path, text)).toEqual(found);
});

test.each([
  ['the use of a name that another file declares', 'src/a.ts', 'bus.tell(told, { heard });\n'],
  ['a name on the wire', 'src/a.ts', "const body = { instances_told: 1, 'legacy': 2, x: 'audience' };\n"],
  ['a member of JSON in a type', 'src/a.ts', 'interface A { readonly instances_told: boolean }\n'],
  ['a pattern', 'src/a.ts', 'const shape = /told|heard/;\n'],
  ['another word around it', 'src/a.ts', '// outdoors, amendment, hearth, invoice, stagecoach\n'],
  ['code in a page', 'docs/a.md', '`instances_told`\n\n```\ntold\n```\n[x](https://a/door)\n'],
])('no word of the list is seen in %s', async (_name, path, text) => {
  expect((await script('plain-words')).wordsIn(path, text)).toEqual({});
});

test('a new finding fails, an old one passes, and the list cannot grow', async () => {
  const { beyond, risen } = await script('known-findings');
  const known = { told: { 'a.ts': 2, 'b.ts': 1 } };
  expect(beyond(known, { told: { 'a.ts': 2 } })).toEqual([]);
  expect(beyond(known, { told: { 'a.ts': 3 } })).toEqual([['told', 'a.ts', 2, 3]]);
  expect(beyond(known, { told: { 'c.ts': 1 }, door: { 'a.ts': 1 } })).toEqual([
    ['told', 'c.ts', 0, 1],
    ['door', 'a.ts', 0, 1],
  ]);
  // Moved or cut in two: another place, no more of it.
  expect(risen(known, { told: { 'c.ts': 2, 'd.ts': 1 } })).toEqual([]);
  expect(risen(known, { told: { 'a.ts': 2, 'b.ts': 1, 'c.ts': 1 } })).toEqual(['told: 3 listed, 4 found']);
});

test('a check ends with 1 on a new finding, names a fixed one that is still listed, and rewrites its list', () => {
  const directory = mkdtempSync(join(tmpdir(), 'opitios-known-'));
  const file = join(directory, 'known.json');
  const list = (): unknown => JSON.parse(readFileSync(file, 'utf8'));
  const check = (found: object, ...options: readonly string[]): { status: number | null; output: string } => {
    const code = `import { settle } from ${JSON.stringify(join(process.cwd(), 'scripts/known-findings.mjs'))};
      settle({ file: ${JSON.stringify(file)}, found: ${JSON.stringify(found)}, command: 'it',
        describe: (finding) => finding.join(' '), advice: 'rename' });`;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--eval', code, '--', ...options],
      { encoding: 'utf8' },
    );
    return { status, output: stdout + stderr };
  };
  try {
    writeFileSync(file, JSON.stringify({ told: { 'a.ts': 2 } }));
    expect(check({ told: { 'a.ts': 2 } })).toEqual({ status: 0, output: '' });
    expect(check({ told: { 'b.ts': 1 } })).toEqual({
      status: 1,
      output: expect.stringMatching(/^fixed: told, a\.ts: 2 listed, 0 found\n.*told b\.ts 0 1\nrename\n$/s),
    });
    expect(check({}, '--update').status).toBe(0);
    expect(list()).toEqual({});
    writeFileSync(file, JSON.stringify({ told: { 'a.ts': 2 } }));
    expect(check({ told: { 'a.ts': 1 } })).toEqual({
      status: 0,
      output: 'fixed: told, a.ts: 2 listed, 1 found\nit -- --update takes what was fixed off the list\n',
    });
    expect(check({ told: { 'a.ts': 3 } }, '--update').status).toBe(1);
    expect(list()).toEqual({ told: { 'a.ts': 2 } });
    expect(check({ told: { 'c.ts': 1 } }, '--update')).toEqual({ status: 0, output: 'now listed: told c.ts 0 1\n' });
    expect(list()).toEqual({ told: { 'c.ts': 1 } });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test('a name that two files export is found; passing it on, overloads and a type beside its value are not', async () => {
  const { exportedNames, namedTwice } = await script('exports');
  expect(
    exportedNames(
      `export const a = 1, b = 2; export function f(): void; export function f(x?: 1): void {} export type T = 1;
       export const T = 1; export class C {} export { d } from './d.js'; const hidden = 1;`,
    ),
  ).toEqual(['a', 'b', 'f', 'T', 'C']);
  expect(namedTwice([['a.ts', 'export interface X {}'], ['b.ts', 'export class X {}'], ['c.ts', 'class X {}']])).toEqual(
    new Map([['X', ['a.ts', 'b.ts']]]),
  );
});

test('what knip reports becomes one finding a name', async () => {
  const { unused } = await script('exports');
  const report = { issues: [{ file: 'src/a.ts', exports: [{ name: 'x' }], types: [], files: [{ name: 'src/a.ts' }] }] };
  expect(unused(report)).toEqual({ 'unused exports': { 'src/a.ts: x': 1 }, 'unused files': { 'src/a.ts: src/a.ts': 1 } });
});

test('a file is linted again when it, something that it reaches, or a declaration for all has changed', async () => {
  const { closureHashes } = await script('lint');
  const files = {
    '/r/a.ts': "import { b } from './b.js';",
    '/r/b.ts': "import type { C } from './c.js'; import './b.js';",
    '/r/c.ts': "export * from './b.js';",
    '/r/d.ts': '',
    '/r/all.ts': 'declare global { const x: 1; }',
  };
  const hashes = (changed: Record<string, string>, shared = 's'): ReadonlyMap<string, string> =>
    closureHashes(new Map(Object.entries({ ...files, ...changed })), shared);
  const before = hashes({});
  const due = (after: ReadonlyMap<string, string>): string[] =>
    [...after.keys()].filter((path) => after.get(path) !== before.get(path)).map((path) => path.slice(3));
  expect(due(hashes({}))).toEqual([]);
  expect(due(hashes({ '/r/d.ts': '//' }))).toEqual(['d.ts']);
  expect(due(hashes({ '/r/c.ts': "export * from './b.js'; //" }))).toEqual(['a.ts', 'b.ts', 'c.ts']);
  expect(due(hashes({ '/r/all.ts': 'declare global { const x: 2; }' }))).toHaveLength(5);
  expect(due(hashes({}, 'other rules'))).toHaveLength(5);
});
