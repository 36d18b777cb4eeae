/** `rotate-key` ended at each of its steps on the disk: the gateway still starts, and the command run again finishes. */
import * as real from 'node:fs/promises';
import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { aConfig, configDirectory, type ConfigDirectory } from '../../support/config-files.js';

/** Steps that are left until the process is dead; from then on nothing reaches the disk. */
let stepsLeft = Number.POSITIVE_INFINITY;
let steps = 0;

function step(): void {
  steps += 1;
  stepsLeft -= 1;
  if (stepsLeft < 0) throw new TypeError('dead');
}

const stepping =
  <Args extends unknown[], Result>(act: (...args: Args) => Promise<Result>) =>
  async (...args: Args): Promise<Result> => {
    step();
    return act(...args);
  };

/** Writing, changing the mode and syncing are steps of their own. */
async function open(...args: Parameters<typeof real.open>): Promise<real.FileHandle> {
  const isWrite = args[1] === 'wx';
  if (isWrite) step();
  const handle = await real.open(...args);
  return new Proxy(handle, {
    get: (target, name) => {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      const bound = (member as (...given: unknown[]) => Promise<unknown>).bind(target);
      return ['writeFile', 'chmod', 'sync'].includes(String(name)) ? stepping(bound) : bound;
    },
  });
}

jest.unstable_mockModule('node:fs/promises', () => ({
  ...real,
  open,
  rename: stepping(real.rename),
  rm: stepping(real.rm),
}));
const { encrypt } = await import('../../../src/cli/commands/encrypt.js');
const { rotateKey } = await import('../../../src/cli/commands/rotate-key.js');
const { checkedSession } = await import('../../../src/cli/commands/check.js');

let made: ConfigDirectory;
let accounts = '';
beforeEach(async () => {
  jest.spyOn(console, 'log').mockImplementation(() => undefined);
  // Two files, so that a crash can fall between them.
  made = await configDirectory();
  const lines = aConfig({ accounts: 2 }).split('\n');
  const own = lines.filter((line) => line.startsWith('auth'));
  accounts = lines.filter((line) => !line.startsWith('auth')).join('\n');
  await made.write('accounts.yaml', accounts);
  await made.write('opitios.yaml', `${own.join('\n')}\naccounts_file: ./accounts.yaml\nsecrets: { key_file: ./kek }\n`);
  stepsLeft = Number.POSITIVE_INFINITY;
  await encrypt({ config: made.file });
});
afterEach(async () => {
  jest.restoreAllMocks();
  await made.remove();
});

async function copyInto(directory: ConfigDirectory): Promise<void> {
  for (const name of ['opitios.yaml', 'accounts.yaml', 'kek'])
    await directory.write(name, await real.readFile(`${made.directory}/${name}`, 'utf8'));
}

test('a crash at any step of a rotation leaves a gateway that starts, and the next run finishes it', async () => {
  const plain = new Set(accounts.match(/K[0-9a-f]{24}/g));
  let crashes = 0;
  for (let at = 0; ; at += 1) {
    const directory = await configDirectory();
    await copyInto(directory);
    const before = await real.readFile(`${directory.directory}/kek`, 'utf8');
    steps = 0;
    stepsLeft = at;
    const isDone = await rotateKey({ config: directory.file }).then(
      () => true,
      () => false,
    );
    stepsLeft = Number.POSITIVE_INFINITY;
    if (!isDone) crashes += 1;

    // Opens every secret with what lies on the disk.
    const { config, keyring } = await checkedSession({ config: directory.file });
    for (const { accountId, apiKey } of config.tradingAccounts)
      expect(plain).toContain(await keyring.open(apiKey, accountId, 'api_key'));
    if (!isDone) await rotateKey({ config: directory.file });
    await checkedSession({ config: directory.file });
    expect(await real.readFile(`${directory.directory}/kek`, 'utf8')).not.toBe(before);
    expect((await real.readdir(directory.directory)).filter((name) => name.includes('previous'))).toEqual([]);
    await directory.remove();
    if (isDone) break;
  }

  expect(crashes).toBe(steps);
  expect(crashes).toBeGreaterThan(20);
}, 60_000);
