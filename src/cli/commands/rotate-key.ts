/**
 * `opitios rotate-key`: puts every secret under a new key. The old key stays beside the new one (`.previous`) until every value
 * is under the new one, and the keyring opens with both: a crash at any step leaves a gateway that starts, and running the
 * command again finishes the rotation. A key that the gateway gets from somebody else is rotated where that one keeps it.
 */
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { readEnvironment } from '../../kernel/config/environment.js';
import type { SecretsConfig } from '../../kernel/config/gateway-config.js';
import { loadDraft } from '../../kernel/config/load-config.js';
import { isSealed } from '../../kernel/secrets/envelope.js';
import { readPrivateFile } from '../../kernel/secrets/key-source.js';
import { openKeyring, PASSPHRASE_MIN, previousKeyOf, type KeyringSource } from '../../kernel/secrets/keyring.js';
import { replaceFile, syncDirectory } from '../atomic-file.js';
import { CommandFailure, EXIT } from '../failures.js';
import { configFileOf, type ConfigOption } from '../session.js';
import { askHidden, say } from '../terminal.js';
import { newKey, rewrite, secretsOf } from './encrypt.js';

export interface RotateOptions extends ConfigOption {
  /** Where the key is kept, when the configuration names a descriptor or a copy of it. */
  readonly keyFile?: string;
}

interface KeyPlace {
  readonly file: string;
  readonly source: KeyringSource;
  /** The text of a new one. */
  readonly fresh: () => string | Promise<string>;
  readonly then: string;
}

export async function rotateKey(options: RotateOptions): Promise<void> {
  const draft = await loadDraft(configFileOf(options), readEnvironment());
  const { file, source, fresh, then } = placeOf(draft.config.secrets, options.keyFile);
  await openKeyring(source);
  const previous = previousKeyOf(file);
  const current = await readPrivateFile(file);
  const resumed = existsSync(previous);
  const isReplaced = resumed && current !== (await readPrivateFile(previous));
  // Asked for before anything is written.
  const next = isReplaced ? undefined : await fresh();
  if (!resumed) await replaceFile(previous, current, 0o600);
  if (next !== undefined) await replaceFile(file, next, 0o600);
  const keyring = await openKeyring(source);
  for (const { file: holder, secrets } of await secretsOf(draft)) {
    const sealed = secrets.filter(({ text }) => isSealed(text));
    // Every value is opened before anything is written: what cannot be opened stops the rotation with both keys kept.
    for (const { text, place } of sealed) await keyring.open(text, place.accountId, place.field);
    await rewrite(holder, sealed, ({ text, place }) => keyring.rewrap(text, place.accountId));
    say(`${holder}: ${sealed.length} secrets are under the new key`);
  }
  await rm(previous);
  await syncDirectory(dirname(previous));
  say(`${file}: rotated${resumed ? ' (an earlier rotation was finished)' : ''}; ${then} and back the key up`);
}

function placeOf(secrets: SecretsConfig, named: string | undefined): KeyPlace {
  const { keyFile, keyFd, passphraseFile } = secrets;
  if (named !== undefined) {
    const file = resolve(named);
    return { file, source: { keyFile: file }, fresh: newKey, then: 'start the gateway again with it' };
  }
  if (keyFd !== undefined) throw keptElsewhere(`descriptor ${keyFd}`);
  if (keyFile !== undefined) {
    // A systemd credential, or a copy of one: it is gone with the next start, and with it what is sealed under it.
    if (/^(?:\/var)?\/run\//.test(keyFile)) throw keptElsewhere(keyFile);
    return { file: keyFile, source: { keyFile }, fresh: newKey, then: 'reload the gateway' };
  }
  if (passphraseFile === undefined)
    throw new CommandFailure('nothing to rotate: neither secrets.key_file nor another key is set', EXIT.invalid);
  return { file: passphraseFile, source: { passphraseFile }, fresh: newPassphrase, then: 'reload the gateway' };
}

function keptElsewhere(where: string): CommandFailure {
  const how = 'name the file that it is filled from with --key-file, then start the gateway again with the new key';
  return new CommandFailure(`the key comes from ${where}, which this command cannot change: ${how}`, EXIT.invalid);
}

async function newPassphrase(): Promise<string> {
  const first = await askHidden('New passphrase: ');
  const second = await askHidden('Once more: ');
  if (first.length < PASSPHRASE_MIN)
    throw new CommandFailure(
      `a passphrase has at least ${PASSPHRASE_MIN} characters; nothing was changed`,
      EXIT.invalid,
    );
  if (first !== second) throw new CommandFailure('that was another one; nothing was changed', EXIT.invalid);
  return `${first}\n`;
}
