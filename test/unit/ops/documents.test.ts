import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parseAllYaml } from '../../support/yaml-documents.js';

const read = (file: string): string => readFileSync(file, 'utf8');
const readmes = ['README.md', 'README.zh-CN.md'].map(read);
const headings = (text: string): readonly string[] => text.match(/^#+ .+$/gm) ?? [];

test('both READMEs have the same sections, commands and tables', () => {
  const shapeOf = (text: string): unknown => ({
    sections: headings(text.replace(/```[\s\S]*?```/g, '')).map((line) => line.split(' ')[0]),
    commands: text.match(/```[\s\S]*?```/g),
    rows: (text.match(/^\|.*\|$/gm) ?? []).map((row) => row.split('|').length),
    codes: (text.match(/`[^`\n]+`/g) ?? []).sort(),
  });
  expect(shapeOf(readmes[1] ?? '')).toEqual(shapeOf(readmes[0] ?? ''));
});

test('every npm command of the README is a script, and every file that it links to exists', () => {
  const [text = ''] = readmes;
  const { scripts } = JSON.parse(read('package.json')) as { readonly scripts: Readonly<Record<string, string>> };
  const commands = [...text.matchAll(/npm run (\w+)/g)].map(([, name]) => name ?? '');
  expect(commands.filter((name) => scripts[name] === undefined)).toEqual([]);
  const links = [...text.matchAll(/\]\((?!https?:)([^)#]+)/g)].map(([, file]) => file ?? '');
  for (const file of links) expect(readdirSync(join(file, '..'))).toContain(file.split('/').at(-1));
});

test('every alert has its runbook in the handbook, and no runbook is left of an alert that is gone', () => {
  const alerts = [...read('config/prometheus/alerts.yml').matchAll(/alert: (\w+)/g)].map(([, name]) => name);
  const runbooks = [...read('docs/operations.md').matchAll(/^### (Opitios\w+)$/gm)].map(([, name]) => name);
  expect(runbooks).toEqual(alerts);
  const links = [...read('config/prometheus/alerts.yml').matchAll(/runbook_url: \S+#(\w+)/g)].map(([, name]) => name);
  expect(links).toEqual(alerts.map((name) => name?.toLowerCase()));
});

test('every test that the security table names exists', () => {
  const sources = readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts'))
    .map((file) => read(join('test', file)))
    .join('\n');
  const named = securityRows().flatMap(({ tests }) => tests);
  expect(named.length).toBeGreaterThan(100);
  const isTitle = (title: string): boolean => ["'", '`', '"'].some((quote) => sources.includes(quote + title + quote));
  expect(named.filter((title) => !isTitle(title))).toEqual([]);
});

interface SecurityRow {
  readonly name: string;
  readonly state: string;
  readonly here: string;
  readonly tests: readonly string[];
}

function securityRows(): readonly SecurityRow[] {
  const rows = read('docs/security.md').match(/^\| (?:API|V)\d.*\|$/gm) ?? [];
  return rows.map((row) => {
    const [, name = '', state = '', here = '', tests = ''] = row.split('|').map((cell) => cell.trim());
    return { name, state, here, tests: [...tests.matchAll(/`([^`]+)`/g)].map(([, title]) => title ?? '') };
  });
}

test('the security table leaves no risk and no chapter out, and claims nothing without a test', () => {
  const rows = securityRows();
  for (let risk = 1; risk <= 10; risk += 1)
    expect(rows.filter(({ name }) => name.startsWith(`API${risk} `))).toHaveLength(1);
  for (let chapter = 1; chapter <= 17; chapter += 1)
    expect([chapter, rows.some(({ name }) => new RegExp(`^V${chapter}(?:[. ])`).test(name))]).toEqual([chapter, true]);
  const states = new Set(['met', 'partly', 'not met', 'not applicable']);
  expect(rows.filter(({ state }) => !states.has(state))).toEqual([]);
  expect(rows.filter(({ state, tests }) => ['met', 'partly'].includes(state) && tests.length === 0)).toEqual([]);
  // What is not met says why, and so does what does not concern us.
  expect(rows.filter(({ here }) => here === '')).toEqual([]);
});

test('every package that the program needs is locked to one version', () => {
  const { dependencies } = JSON.parse(read('package.json')) as {
    readonly dependencies: Readonly<Record<string, string>>;
  };
  const { packages } = JSON.parse(read('package-lock.json')) as {
    readonly packages: Readonly<Record<string, { readonly version?: string; readonly integrity?: string }>>;
  };
  for (const [name, version] of Object.entries(dependencies)) {
    expect([name, packages[`node_modules/${name}`]?.version]).toEqual([name, version]);
    expect(packages[`node_modules/${name}`]?.integrity).toMatch(/^sha512-/);
  }
});

test('every algorithm of the inventory is the one in the code', () => {
  const files = readdirSync('src', { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.ts') && !file.startsWith('simulator'),
  );
  const used = files.flatMap((file) =>
    [
      ...read(join('src', file)).matchAll(
        /(?:createHash|createHmac|createCipheriv|createDecipheriv|hash)\(\s*'([\w-]+)'/g,
      ),
    ].map(([, algorithm]) => algorithm),
  );
  expect([...new Set(used)].sort()).toEqual(['aes-256-gcm', 'sha256']);
  const inventory = /## Cryptography\n([\s\S]*?)\n## /.exec(read('docs/security.md'))?.[1] ?? '';
  for (const [, place = ''] of inventory.matchAll(/\| `([\w/.-]+)` \|$/gm))
    expect(files.some((file) => file.startsWith(place))).toBe(true);
  for (const word of ['AES-256-GCM', 'SHA-256', 'scrypt', 'Ed25519', 'HS256', 'RS256', 'ES256', 'EdDSA'])
    expect(inventory).toContain(word);
});

test('the changelog has an entry for this version', () => {
  const { version } = JSON.parse(read('package.json')) as { readonly version: string };
  expect(read('CHANGELOG.md')).toContain(`## [${version}]`);
});

test('PM2 finds one application in fork mode that is waited for, and hands no secret on', () => {
  const parse = `require('pm2/lib/Common.js').parseConfig('', 'ecosystem.config.js')`;
  const program = `process.stdout.write(JSON.stringify(${parse}))`;
  const env = { PATH: process.env['PATH'], OPITIOS__AUTH__SECRET: 'canary', OPITIOS__SERVER__PORT: '8090' };
  const { stdout } = spawnSync(process.execPath, ['--no-warnings', '--eval', program], { encoding: 'utf8', env });
  const { apps } = JSON.parse(stdout) as { readonly apps: readonly Readonly<Record<string, unknown>>[] };
  expect(apps).toHaveLength(1);
  expect(apps[0]).toMatchObject({ exec_mode: 'fork', instances: 1, wait_ready: true, treekill: false });
  expect(Number(apps[0]?.['kill_timeout'])).toBeGreaterThan(12_000);
  expect(stdout).not.toContain('canary');
  expect(apps[0]).toMatchObject({ env: { OPITIOS__SERVER__PORT: '8090', NODE_ENV: 'production' } });
});

test('every deployment file is YAML, and the pods give the gateway room and a data directory of its own', () => {
  for (const file of ['deploy/docker/compose.yaml', 'config/prometheus/prometheus.yml', 'config/prometheus/alerts.yml'])
    expect(parseAllYaml(read(file))).toHaveLength(1);
  const kinds = parseAllYaml(read('deploy/kubernetes/opitios.yaml')).map((one) => (one as { kind: string }).kind);
  expect(kinds).toEqual(expect.arrayContaining(['StatefulSet', 'PodDisruptionBudget', 'NetworkPolicy']));
});
