import { randomBytes } from 'node:crypto';
import { fstatSync, openSync } from 'node:fs';
import { chmod } from 'node:fs/promises';
import { afterEach, expect, test } from '@jest/globals';
import { GatewayError } from '../../../src/kernel/domain/errors.js';
import { encrypt, newDataKey } from '../../../src/kernel/secrets/envelope.js';
import { PassphraseKey, RawKey } from '../../../src/kernel/secrets/key-source.js';
import { Keyring, openKeyring, previousKeyOf } from '../../../src/kernel/secrets/keyring.js';
import { configDirectory, type ConfigDirectory } from '../../support/config-files.js';

let made: ConfigDirectory | undefined;

afterEach(async () => {
  await made?.remove();
  made = undefined;
});

const aKey = (): string => randomBytes(32).toString('base64');
const ring = (key = aKey()): Keyring => new Keyring([new RawKey(key, 'test')]);
const PREFIX = 'enc:1.raw.';

async function failure(opening: Promise<unknown>): Promise<string> {
  const error: unknown = await opening.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (!(error instanceof GatewayError)) return 'opened';
  return `${error.code} ${error.message} ${JSON.stringify(error.facts)}`;
}

const GENERIC = 'SECRET_INVALID a secret cannot be opened with the configured key {}';

test('what is sealed opens for its account and field only', async () => {
  const keys = ring();
  const sealed = await keys.seal('CANARY', 'account_001', 'api_key');

  expect(sealed).not.toContain('CANARY');
  expect(await keys.open(sealed, 'account_001', 'api_key')).toBe('CANARY');
  expect(await failure(keys.open(sealed, 'account_002', 'api_key'))).toBe(GENERIC);
  expect(await failure(keys.open(sealed, 'account_001', 'secret_key'))).toBe(GENERIC);
});

test('a change of any single byte is refused with one and the same error', async () => {
  const keys = ring();
  const sealed = await keys.seal('secret value', 'a', 'api_key');
  const [, , , wrapped = '', value = ''] = sealed.split('.');
  const outcomes = new Set<string>();
  for (const part of [wrapped, value]) {
    const bytes = Buffer.from(part, 'base64url');
    for (let at = 0; at < bytes.length; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 0x01;
      outcomes.add(await failure(keys.open(sealed.replace(part, changed.toString('base64url')), 'a', 'api_key')));
    }
  }
  for (let at = 0; at < sealed.length; at += 1) {
    const other = sealed[at] === 'A' ? 'B' : 'A';
    outcomes.add(await failure(keys.open(sealed.slice(0, at) + other + sealed.slice(at + 1), 'a', 'api_key')));
  }

  expect([...outcomes]).toEqual([GENERIC]);
});

test.each([4, 8, 12, 15])('a tag cut to %d bytes is refused', async (length) => {
  const keys = ring();
  const sealed = await keys.seal('value', 'a', 'api_key');
  const parts = sealed.split('.');
  const value = Buffer.from(parts[4] ?? '', 'base64url');
  parts[4] = value.subarray(0, value.length - 16 + length).toString('base64url');

  expect(await failure(keys.open(parts.join('.'), 'a', 'api_key'))).toBe(GENERIC);
});

test('values swapped between accounts do not open, whole or in parts', async () => {
  const keys = ring();
  const one = (await keys.seal('one', 'a', 'api_key')).split('.');
  const two = (await keys.seal('two', 'b', 'api_key')).split('.');

  expect(await failure(keys.open(two.join('.'), 'a', 'api_key'))).toBe(GENERIC);
  expect(await failure(keys.open([...one.slice(0, 4), two[4]].join('.'), 'a', 'api_key'))).toBe(GENERIC);
  expect(await failure(keys.open([...two.slice(0, 4), one[4]].join('.'), 'a', 'api_key'))).toBe(GENERIC);
});

test('no IV comes twice', () => {
  const key = newDataKey();
  const seen = new Set<string>();

  for (let count = 0; count < 20_000; count += 1)
    seen.add(encrypt(key, Buffer.from('x'), 'x').subarray(0, 12).toString('base64'));

  expect(seen.size).toBe(20_000);
});

test('another key gives the same error as a broken value', async () => {
  const sealed = await ring().seal('value', 'a', 'api_key');

  expect(await failure(ring().open(sealed, 'a', 'api_key'))).toBe(GENERIC);
  expect(await failure(ring().open(`${PREFIX}x`, 'a', 'api_key'))).toBe(GENERIC);
});

test('both keys open during a rotation; what is rewrapped needs the new one alone', async () => {
  const [before, after] = [aKey(), aKey()];
  const sealed = await ring(before).seal('value', 'a', 'api_key');
  const both = new Keyring([new RawKey(after, 'new'), new RawKey(before, 'old')]);

  const rewrapped = await both.rewrap(sealed, 'a');

  expect(await both.open(sealed, 'a', 'api_key')).toBe('value');
  expect(await ring(after).open(rewrapped, 'a', 'api_key')).toBe('value');
  expect(await failure(ring(before).open(rewrapped, 'a', 'api_key'))).toBe(GENERIC);
  expect(rewrapped.split('.')[4]).toBe(sealed.split('.')[4]);
});

test('a passphrase opens what it sealed, and weaker derivation is refused', async () => {
  const keys = new Keyring([new PassphraseKey('correct horse battery')]);
  const sealed = await keys.seal('value', 'a', 'api_key');

  expect(await keys.open(sealed, 'a', 'api_key')).toBe('value');
  expect(await failure(new Keyring([new PassphraseKey('another one here')]).open(sealed, 'a', 'api_key'))).toBe(
    GENERIC,
  );
  for (const weak of ['scrypt.14.8.1.', 'scrypt.17.1.1.', 'scrypt.17.8.0.', 'scrypt.30.8.1.'])
    expect(await failure(keys.open(sealed.replace('scrypt.17.8.1.', weak), 'a', 'api_key'))).toBe(GENERIC);
});

test('a key file that others may read is refused by name', async () => {
  made = await configDirectory();
  const keyFile = await made.write('kek', aKey());
  await openKeyring({ keyFile });
  await chmod(keyFile, 0o640);

  await expect(openKeyring({ keyFile })).rejects.toThrow(`the key in ${keyFile} has mode 0640: it must be 0600`);
});

test.each([
  ['too short', randomBytes(31).toString('base64')],
  ['too long', randomBytes(33).toString('base64')],
  ['no base64', 'x'.repeat(43) + '!'],
  ['empty', ''],
])('a key that is %s is refused', async (_, text) => {
  made = await configDirectory();
  const keyFile = await made.write('kek', text);

  await expect(openKeyring({ keyFile })).rejects.toMatchObject({ code: 'SECRET_INVALID' });
});

test('the leftover of a rotation that crashed still opens old values', async () => {
  made = await configDirectory();
  const [before, after] = [aKey(), aKey()];
  const keyFile = await made.write('kek', after);
  await made.write('kek.previous', before);
  expect(previousKeyOf(keyFile)).toBe(`${keyFile}.previous`);
  const sealed = await ring(before).seal('value', 'a', 'api_key');

  expect(await (await openKeyring({ keyFile })).open(sealed, 'a', 'api_key')).toBe('value');
});

test('a key from a descriptor serves the start and every reload, though the descriptor is read once and closed', async () => {
  made = await configDirectory();
  const key = aKey();
  const sealed = await ring(key).seal('value', 'a', 'api_key');
  const descriptor = openSync(await made.write('kek', key), 'r');

  for (let reload = 0; reload < 3; reload += 1)
    expect(await (await openKeyring({ keyFd: descriptor })).open(sealed, 'a', 'api_key')).toBe('value');
  expect(() => fstatSync(descriptor)).toThrow('EBADF');
});

test('without a key plain text passes and nothing else does', async () => {
  const none = await openKeyring({});

  expect(await none.reveal('plain', { accountId: 'a', field: 'api_key' })).toBe('plain');
  expect(await failure(none.seal('x', 'a', 'api_key'))).toMatch(/^SECRET_INVALID/);
});
