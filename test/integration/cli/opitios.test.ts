/** The built command as somebody at a terminal meets it: exit codes, lines, files. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, readFile, readdir, stat } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { createServer as createHttpServer } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import { aConfig, configDirectory, type ConfigDirectory } from '../../support/config-files.js';

const made: ConfigDirectory[] = [];

afterEach(async () => {
  for (const directory of made.splice(0)) await directory.remove();
});

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: readonly string[];
}

async function opitios(args: readonly string[], input = ''): Promise<Ended> {
  const child = spawn(process.execPath, ['dist/cli/main.js', ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err: err.split('\n').filter((line) => line !== '') };
}

async function configFile(yaml: string): Promise<string> {
  const directory = await configDirectory(yaml);
  made.push(directory);
  return directory.file;
}

const SEALABLE = (): string => aConfig({ accounts: 2, more: '# the key\nsecrets: { key_file: ./kek }' });

test.each([
  [
    'an unknown key',
    (yaml: string) => `${yaml}server: { prot: 1 }\n`,
    /server\.prot: unknown key \(did you mean port\?\)$/,
  ],
  [
    'a duplicate account id',
    (yaml: string) => yaml.replace('account_002', 'account_001'),
    /duplicate account id account_001/,
  ],
  ['a missing secret', (yaml: string) => yaml.replace(/auth: .*/, ''), /auth\.secret: is missing/],
  ['half-written YAML', () => 'server: {', /is not valid YAML at line/],
])('check and serve end with 2 and one line for %s', async (_, spoil, line) => {
  const file = await configFile(spoil(aConfig({ accounts: 2 })));

  for (const command of ['check', 'serve']) {
    const { code, err } = await opitios([command, '--config', file]);
    expect({ code, lines: err.length }).toEqual({ code: 2, lines: 1 });
    expect(err[0]).toMatch(line);
  }
});

test('a file that cannot be read ends check with 2 and one line', async () => {
  const { code, err } = await opitios(['check', '--config', '/nowhere/opitios.yaml']);

  expect({ code, err }).toEqual({ code: 2, err: ['/nowhere/opitios.yaml: does not exist'] });
});

test('a port in use ends serve with 1 and one line', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  const file = await configFile(aConfig({ more: `server: { port: ${port} }\nadmin: { port: 0 }` }));

  const { code, err } = await opitios(['serve', '--config', file]);
  taken.close();

  expect({ code, err }).toEqual({
    code: 1,
    err: [`port ${port} on 127.0.0.1 is in use: choose another with server.port`],
  });
});

test('encrypt makes the key once, keeps comments and leaves no plain text; check still passes', async () => {
  const file = await configFile(SEALABLE());
  const plain = [...(await readFile(file, 'utf8')).matchAll(/"(K[0-9a-f]{24})"/g)].map(([, key]) => key ?? '');

  const first = await opitios(['encrypt', '--config', file]);
  const text = await readFile(file, 'utf8');

  expect(first.code).toBe(0);
  expect(plain).toHaveLength(6);
  expect(plain.filter((key) => text.includes(key))).toEqual([]);
  expect(text).toContain('# the key\n');
  expect((await stat(file.replace('opitios.yaml', 'kek'))).mode & 0o777).toBe(0o600);
  expect((await opitios(['check', '--config', file])).code).toBe(0);
  await opitios(['encrypt', '--config', file]);
  expect(await readFile(file, 'utf8')).toBe(text);
  expect(await readdir(file.replace('/opitios.yaml', ''))).toEqual(['kek', 'opitios.yaml']);
});

test('a lost key is not replaced by a new one', async () => {
  const file = await configFile(SEALABLE());
  await opitios(['encrypt', '--config', file]);
  const text = await readFile(file, 'utf8');
  const directory = await configDirectory(text);
  made.push(directory);

  const { code, err } = await opitios(['encrypt', '--config', directory.file]);

  expect(code).toBe(1);
  expect(err[0]).toMatch(/is missing and holds the key of secrets already encrypted/);
});

test('rotate-key finishes a rotation that crashed between any two steps', async () => {
  const file = await configFile(SEALABLE());
  await opitios(['encrypt', '--config', file]);
  const key = file.replace('opitios.yaml', 'kek');
  // The old key was kept and the new one not yet in place.
  await copyFile(key, `${key}.previous`);
  expect((await opitios(['check', '--config', file])).code).toBe(0);
  const before = await readFile(key, 'utf8');

  expect((await opitios(['rotate-key', '--config', file])).code).toBe(0);

  const sealedUnderNew = await readFile(file, 'utf8');
  expect(await readFile(key, 'utf8')).not.toBe(before);
  // The new key was in place and no value was under it yet: the old key opens the old text beside the new key.
  const directory = await configDirectory(sealedUnderNew);
  made.push(directory);
  await directory.write('kek', `${Buffer.alloc(32, 7).toString('base64')}\n`);
  await directory.write('kek.previous', await readFile(key, 'utf8'));
  expect((await opitios(['rotate-key', '--config', directory.file])).code).toBe(0);
  expect((await opitios(['check', '--config', directory.file])).code).toBe(0);
  expect(await readdir(directory.directory)).toEqual(['kek', 'opitios.yaml']);
});

test('rotate-key changes a passphrase, and finishes a change that crashed', async () => {
  const directory = await configDirectory(aConfig({ more: 'secrets: { passphrase_file: ./phrase }' }));
  made.push(directory);
  const { file } = directory;
  await directory.write('phrase', 'the first passphrase\n');
  expect((await opitios(['encrypt', '--config', file])).code).toBe(0);

  const differs = await opitios(['rotate-key', '--config', file], 'the second passphrase\nanother one entirely\n');
  expect(differs).toMatchObject({ code: 2, err: ['that was another one; nothing was changed'] });
  const answers = 'the second passphrase\nthe second passphrase\n';
  expect((await opitios(['rotate-key', '--config', file], answers)).code).toBe(0);
  expect(await readFile(file.replace('opitios.yaml', 'phrase'), 'utf8')).toBe('the second passphrase\n');
  expect((await opitios(['check', '--config', file])).code).toBe(0);
  // The new one was in place and no value was under it yet.
  await directory.write('phrase', 'the third passphrase\n');
  await directory.write('phrase.previous', 'the second passphrase\n');
  expect((await opitios(['check', '--config', file])).code).toBe(0);
  expect((await opitios(['rotate-key', '--config', file])).code).toBe(0);
  expect((await opitios(['check', '--config', file])).code).toBe(0);
  expect(await readdir(directory.directory)).toEqual(['opitios.yaml', 'phrase']);
}, 60_000);

test('rotate-key refuses a key that somebody else keeps, and rotates it where it is kept', async () => {
  const directory = await configDirectory(SEALABLE());
  made.push(directory);
  const { file } = directory;
  await opitios(['encrypt', '--config', file]);
  const sealed = await readFile(file, 'utf8');
  for (const [secrets, said] of [
    ['key_fd: 5', 'descriptor 5'],
    ['key_file: /run/opitios/key', '/run/opitios/key'],
  ] as const) {
    await directory.write('opitios.yaml', sealed.replace('key_file: ./kek', secrets));
    const refused = await opitios(['rotate-key', '--config', file]);
    expect({ code: refused.code, lines: refused.err.length }).toEqual({ code: 2, lines: 1 });
    expect(refused.err[0]).toContain(`the key comes from ${said}, which this command cannot change`);
  }

  const kept = file.replace('opitios.yaml', 'kek');
  expect((await opitios(['rotate-key', '--config', file, '--key-file', kept])).code).toBe(0);
  await directory.write(
    'opitios.yaml',
    (await readFile(file, 'utf8')).replace('key_file: /run/opitios/key', 'key_file: ./kek'),
  );
  expect((await opitios(['check', '--config', file])).code).toBe(0);
}, 60_000);

test('accounts are added, rotated and removed; a key that the broker refuses is not stored', async () => {
  const broker = createHttpServer((request, response) => {
    response.writeHead(request.headers['apca-api-key-id'] === 'GOOD' ? 200 : 401).end('{}');
  }).listen(0, '127.0.0.1');
  await once(broker, 'listening');
  const { port } = broker.address() as AddressInfo;
  const file = await configFile(`${SEALABLE()}alpaca: { endpoints: { trading_paper: "http://127.0.0.1:${port}" } }\n`);
  await opitios(['encrypt', '--config', file]);
  const config = ['--config', file];
  const before = await readFile(file, 'utf8');

  const refused = await opitios(['accounts', 'add', 'new_1', ...config], 'BAD\nSECRET\n');
  expect({ code: refused.code, same: (await readFile(file, 'utf8')) === before }).toEqual({ code: 1, same: true });
  expect((await opitios(['accounts', 'add', 'new_1', ...config], 'GOOD\nSECRET-x\n')).code).toBe(0);
  expect((await opitios(['accounts', 'rotate', 'account_001', ...config], 'GOOD\nSECRET-y\n')).code).toBe(0);
  expect((await opitios(['accounts', 'remove', 'account_002', ...config])).code).toBe(0);
  broker.close();

  expect((await opitios(['accounts', 'list', ...config])).out).toBe(
    'master\tpaper\tencrypted\naccount_001\tpaper\tencrypted\nnew_1\tpaper\tencrypted\n',
  );
  expect(await readFile(file, 'utf8')).not.toMatch(/SECRET|GOOD/);
});

test('token, config print and a command to a gateway that does not run', async () => {
  const file = await configFile(aConfig({ secret: 'CANARY'.repeat(8), more: 'admin: { port: 1 }' }));

  const token = await opitios(['token', '--config', file, '--accounts', 'account_001']);
  const printed = await opitios(['config', 'print', '--config', file]);
  const status = await opitios(['status', '--config', file]);

  expect(token.out.trim().split('.')).toHaveLength(3);
  expect(printed.out).not.toContain('CANARY');
  expect(JSON.parse(printed.out)).toMatchObject({ server: { port: 8090 } });
  expect(status).toEqual({ code: 1, out: '', err: ['the gateway at 127.0.0.1:1 does not answer: is it running?'] });
  expect((await opitios(['token', '--config', file, '--permissions', '*'])).code).toBe(2);
});

test('doctor looks at files, limits, disk, shared memory, ports, keys and clock, and says what to do', async () => {
  const broker = createHttpServer((request, response) => {
    const date = new Date(Date.now() - 10_000).toUTCString();
    response.writeHead(request.headers['apca-api-key-id'] === 'REFUSED' ? 403 : 200, { date }).end('{}');
  }).listen(0, '127.0.0.1');
  const taken = createServer().listen(0, '127.0.0.1');
  await Promise.all([once(broker, 'listening'), once(taken, 'listening')]);
  const [{ port }, { port: used }] = [broker.address() as AddressInfo, taken.address() as AddressInfo];
  const url = `http://127.0.0.1:${port}`;
  const more = [
    `alpaca: { endpoints: { trading_paper: "${url}", trading_live: "${url}" } }`,
    `server: { port: ${used} }`,
    'market_data: { shared_memory_dir: "/no-such-place/here" }',
  ].join('\n');
  const yaml = aConfig({ accounts: 2, more }).replace(/(account_002", api_key: )"[^"]+"/, '$1"REFUSED"');
  const file = await configFile(yaml);
  await chmod(file, 0o644);

  const { code, out, err } = await opitios(['doctor', '--config', file]);
  broker.close();
  taken.close();

  expect({ code, err }).toEqual({ code: 1, err: [expect.stringMatching(/^\d+ things need attention$/)] });
  expect(out).toMatch(/^warn {2}.* is readable by others \(0644\): chmod 600 /m);
  expect(out).toMatch(/^(?:ok|fail) +open files: \d+ allowed, \d+ needed/m);
  expect(out).toMatch(/^(?:ok|fail) +data directory .*: \d+ MB free$/m);
  expect(out).toMatch(/^fail {2}shared memory \/no-such-place\/here does not exist: create it$/m);
  expect(out).toMatch(new RegExp(`^warn {2}server: .*${used}.*fine while the gateway runs`, 'm'));
  expect(out).toMatch(/^(?:ok|warn) +setpriv/m);
  expect(out).toMatch(/^fail {2}account_002: the broker refuses the key \(403\)$/m);
  expect(out).toMatch(/^warn {2}clock: 1\d\.\d s ahead of the broker's: synchronise it/m);
}, 30_000);
