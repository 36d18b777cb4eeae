import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterEach, expect, test } from '@jest/globals';
import { loadConfig } from '../../../src/kernel/config/load-config.js';
import { settingsDocument, settingsTable } from '../../../src/kernel/config/settings-table.js';
import { aConfig, configDirectory, type ConfigDirectory } from '../../support/config-files.js';

let made: ConfigDirectory | undefined;

afterEach(async () => {
  await made?.remove();
  made = undefined;
});

test('docs/configuration.md lists the settings as they are (npm run docs)', async () => {
  expect(await readFile('docs/configuration.md', 'utf8')).toBe(settingsDocument());
});

test('the shipped configuration names every key', async () => {
  const shipped = await readFile('config/opitios.yaml', 'utf8');

  const absent = settingsTable().filter(({ path }) => !shipped.includes(`${path.split('.').at(-1) ?? ''}:`));

  expect(absent).toEqual([]);
});

test('the shipped configuration is good and says the defaults', async () => {
  made = await configDirectory(await readFile('config/opitios.yaml', 'utf8'));
  await made.write('accounts.yaml', await readFile('config/accounts.example.yaml', 'utf8'));
  await made.write('jwt-secret', randomBytes(32).toString('hex'));
  await made.write('opitios.key', randomBytes(32).toString('base64'));
  const shipped = await loadConfig(made.file, {});

  await made.write('opitios.yaml', aConfig());
  const bare = await loadConfig(made.file, {});

  const own = { auth: undefined, secrets: undefined, masterAccount: undefined, tradingAccounts: undefined };
  const ignored = { ...own, sourceFiles: undefined };
  expect({ ...shipped, ...ignored }).toEqual({ ...bare, ...ignored });
});
