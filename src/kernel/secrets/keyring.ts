/**
 * Opens and seals the secrets of the configuration. Knows the key in use and, while a rotation is under way, the one before.
 * Keeps no opened secret.
 */
import { existsSync } from 'node:fs';
import { GatewayError } from '../domain/errors.js';
import {
  cannotOpen,
  decrypt,
  encrypt,
  isSealed,
  newDataKey,
  readEnvelope,
  valueBinding,
  wrapBinding,
  writeEnvelope,
  type Envelope,
} from './envelope.js';
import {
  badKey,
  PassphraseKey,
  RawKey,
  readDescriptor,
  readPrivateFile,
  type KeySource,
  type OperatorKey,
} from './key-source.js';

/** The `secrets` section of the compiled configuration has this shape. */
export interface KeyringSource {
  readonly keyFile?: string;
  readonly keyFd?: number;
  readonly passphraseFile?: string;
  readonly previousKeyFile?: string;
}

/** Which secret: the AAD binds both, so that a value moved to another account or field does not open. */
export interface SecretPlace {
  readonly accountId: string;
  readonly field: string;
}

/** Where `auth.secret` is sealed to; no account can have this id, it is not one of the ids' alphabet. */
export const AUTH_SECRET: SecretPlace = { accountId: 'gateway:auth', field: 'secret' };

export class Keyring {
  /** @param sources the first seals; all open. */
  constructor(private readonly sources: readonly KeySource[]) {}

  /** Plain text comes back as it is; an envelope is opened. @throws GatewayError SECRET_INVALID */
  async reveal(text: string, { accountId, field }: SecretPlace): Promise<string> {
    return isSealed(text) ? this.open(text, accountId, field) : text;
  }

  /** @throws GatewayError SECRET_INVALID, always the same one. */
  async open(text: string, accountId: string, field: string): Promise<string> {
    const envelope = readEnvelope(text);
    const dataKey = await this.#unwrap(envelope, accountId);
    try {
      return decrypt(dataKey, envelope.sealed, valueBinding(accountId, field)).toString('utf8');
    } finally {
      dataKey.fill(0);
    }
  }

  /** @throws GatewayError SECRET_INVALID when there is no key. */
  async seal(text: string, accountId: string, field: string): Promise<string> {
    const [sealed = ''] = await this.sealAll([{ text, field }], accountId);
    return sealed;
  }

  /** Several values of one account under one data key of it. */
  async sealAll(
    values: readonly { readonly text: string; readonly field: string }[],
    accountId: string,
  ): Promise<readonly string[]> {
    const key = await this.#sealingKey();
    const dataKey = newDataKey();
    try {
      const wrapped = encrypt(key.bytes, dataKey, wrapBinding(accountId, key.derivation, key.id));
      return values.map(({ text, field }) => {
        const sealed = encrypt(dataKey, Buffer.from(text, 'utf8'), valueBinding(accountId, field));
        return writeEnvelope({ derivation: key.derivation, keyId: key.id, wrapped, sealed });
      });
    } finally {
      dataKey.fill(0);
    }
  }

  /** The same value with its data key wrapped by the key in use: what a rotation does to every value. */
  async rewrap(text: string, accountId: string): Promise<string> {
    const envelope = readEnvelope(text);
    const dataKey = await this.#unwrap(envelope, accountId);
    const key = await this.#sealingKey();
    try {
      const wrapped = encrypt(key.bytes, dataKey, wrapBinding(accountId, key.derivation, key.id));
      return writeEnvelope({ derivation: key.derivation, keyId: key.id, wrapped, sealed: envelope.sealed });
    } finally {
      dataKey.fill(0);
    }
  }

  async #unwrap({ derivation, keyId, wrapped }: Envelope, accountId: string): Promise<Buffer> {
    for (const source of this.sources) {
      const key = await source.forOpening(derivation);
      if (key?.id === keyId) return decrypt(key.bytes, wrapped, wrapBinding(accountId, derivation, keyId));
    }
    throw cannotOpen();
  }

  #sealingKey(): Promise<OperatorKey> {
    const [first] = this.sources;
    if (first === undefined) throw badKey('secrets', 'is missing: set secrets.key_file');
    return first.forSealing();
  }
}

/** Reads the keys; without any it can only pass plain text. @throws GatewayError SECRET_INVALID naming the file. */
export async function openKeyring(source: KeyringSource): Promise<Keyring> {
  const sources: KeySource[] = [];
  if (source.keyFile !== undefined) sources.push(new RawKey(await readPrivateFile(source.keyFile), source.keyFile));
  if (source.keyFd !== undefined) sources.push(new RawKey(readDescriptor(source.keyFd), `descriptor ${source.keyFd}`));
  if (source.passphraseFile !== undefined) {
    sources.push(await passphraseKey(source.passphraseFile));
    const former = rotationLeftover(source.passphraseFile);
    if (former !== undefined) sources.push(await passphraseKey(former));
  }
  const previous = source.previousKeyFile ?? rotationLeftover(source.keyFile);
  if (previous !== undefined) sources.push(new RawKey(await readPrivateFile(previous), previous));
  return new Keyring(sources);
}

/** `opitios rotate-key` keeps the old key here until every value is under the new one; a crash leaves it. */
export function previousKeyOf(file: string): string {
  return `${file}.previous`;
}

function rotationLeftover(keyFile: string | undefined): string | undefined {
  if (keyFile === undefined) return undefined;
  const previous = previousKeyOf(keyFile);
  return existsSync(previous) ? previous : undefined;
}

export const PASSPHRASE_MIN = 12;

async function passphraseKey(file: string): Promise<PassphraseKey> {
  const passphrase = (await readPrivateFile(file)).replace(/\r?\n$/, '');
  if (passphrase.length < PASSPHRASE_MIN)
    throw new GatewayError(
      'SECRET_INVALID',
      { file },
      { message: `the passphrase in ${file} has fewer than ${PASSPHRASE_MIN} characters` },
    );
  return new PassphraseKey(passphrase);
}
