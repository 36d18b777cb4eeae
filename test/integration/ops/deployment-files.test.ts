/** What is shipped to be deployed, by linters that know each kind of file: no container engine runs here. */
import { expect, test } from '@jest/globals';
import { validate } from 'dockerfile-utils';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('../../../', import.meta.url).pathname;
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const has = (program: string): boolean => spawnSync(program, ['--version']).status === 0;
const RULES = `{extends: default, rules: {line-length: disable, document-start: disable, braces: {max-spaces-inside: 1},
  comments: {min-spaces-from-content: 1}}}`;

test('the Dockerfile has no fault that its linter knows', () => {
  const faults = (text: string): string[] =>
    validate(text).map(
      ({ range, message }) => `${range.start.line + 1}: ${typeof message === 'string' ? message : message.value}`,
    );

  expect(faults(read('Dockerfile'))).toEqual([]);
  expect(faults(read('Dockerfile').replace('EXPOSE 8090 9464', 'EXPOSE eighty'))).not.toEqual([]);
});

test('what the image is built from reaches the builder, the modules of the build among it', () => {
  const copied = [...read('Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = '']) =>
    sources.split(' '),
  );
  const letThrough = [...read('.dockerignore').matchAll(/^!(.+)$/gm)].map(([, path]) => path);
  const modules = [...read('scripts/build.mjs').matchAll(/'\.\/([\w-]+\.mjs)'/g)].map(
    ([, name]) => `scripts/${String(name)}`,
  );

  expect(copied.filter((path) => !letThrough.includes(path))).toEqual([]);
  expect(modules.filter((path) => !copied.includes(path))).toEqual([]);
  expect(modules).not.toEqual([]);
});

(has('docker-compose') ? test : test.skip)('the compose file holds nothing that Compose does not know', () => {
  const dir = mkdtempSync(join(tmpdir(), 'opitios-compose-'));
  const judge = (text: string): number | null => {
    writeFileSync(join(dir, 'compose.yaml'), text);
    return spawnSync('docker-compose', ['--file', join(dir, 'compose.yaml'), 'config', '--quiet']).status;
  };
  // Debian's Compose is older than a project's name inside the file.
  const text = read('deploy/docker/compose.yaml').replace(/^name:.*$/m, '');
  try {
    expect(judge(text)).toBe(0);
    expect(judge(text.replace('read_only: true', 'readonly: true'))).not.toBe(0);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

(has('yamllint') ? test : test.skip)('every YAML file that is shipped is clean', () => {
  const files = ['deploy', 'config'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.ya?ml$/.test(name))
      .map((name) => join(root, folder, name)),
  );
  const { status, stdout } = spawnSync('yamllint', ['--strict', '--config-data', RULES, ...files], {
    encoding: 'utf8',
  });

  expect(stdout).toBe('');
  expect(status).toBe(0);
  expect(files.length).toBeGreaterThan(4);
});
