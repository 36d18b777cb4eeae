/**
 * Where the operator's key comes from: a file that only its owner reads, an inherited descriptor, or a passphrase. Never the
 * environment: /proc and a process report show that for the process's life.
 */
import { createHmac, randomBytes, scrypt } from 'node:crypto';
import { closeSync, readSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { GatewayError } from '../domain/errors.js';
import { cannotOpen, type KeyDerivation } from './envelope.js';

const KEY_BYTES = 32;
const FILE_BYTES_MAX = 4096;
const SCRYPT_MEMORY = 256 * 1024 * 1024;
/** One derivation takes half a second: a file full of different salts would be a way to stop us. */
const SALTS_MAX = 4;

/** A key that is ready to wrap and unwrap. */
export interface OperatorKey {
  readonly id: string;
  readonly derivation: KeyDerivation;
  readonly bytes: Buffer;
}

/** Gives the key that an envelope asks for, or the one to seal with. */
export interface KeySource {
  forSealing(): Promise<OperatorKey>;
  /** Undefined when this source cannot have made it. */
  forOpening(derivation: KeyDerivation): Promise<OperatorKey | undefined>;
}

export class RawKey implements KeySource {
  readonly #key: OperatorKey;

  /** @throws GatewayError SECRET_INVALID unless it is 32 bytes in base64. */
  constructor(text: string, from: string) {
    const trimmed = text.trim();
    const bytes = Buffer.from(trimmed, 'base64');
    const canonical = bytes.toString('base64').replace(/=+$/, '') === trimmed.replace(/=+$/, '');
    if (bytes.length !== KEY_BYTES || !canonical) throw badKey(from, 'does not hold 32 bytes in base64');
    this.#key = { id: keyIdOf(bytes), derivation: { kind: 'raw' }, bytes };
  }

  forSealing(): Promise<OperatorKey> {
    return Promise.resolve(this.#key);
  }

  forOpening(derivation: KeyDerivation): Promise<OperatorKey | undefined> {
    return Promise.resolve(derivation.kind === 'raw' ? this.#key : undefined);
  }
}

export class PassphraseKey implements KeySource {
  readonly #derived = new Map<string, Promise<OperatorKey>>();

  constructor(private readonly passphrase: string) {}

  /** With a salt already in use where there is one: all values of a file then cost one derivation. */
  forSealing(): Promise<OperatorKey> {
    const first = this.#derived.values().next();
    if (first.done !== true) return first.value;
    return this.#derive({ kind: 'scrypt', logN: 17, r: 8, p: 1, salt: randomBytes(16).toString('base64url') });
  }

  forOpening(derivation: KeyDerivation): Promise<OperatorKey | undefined> {
    return derivation.kind === 'scrypt' ? this.#derive(derivation) : Promise.resolve(undefined);
  }

  #derive(derivation: KeyDerivation & { readonly kind: 'scrypt' }): Promise<OperatorKey> {
    const name = JSON.stringify(derivation);
    const known = this.#derived.get(name);
    if (known !== undefined) return known;
    if (this.#derived.size >= SALTS_MAX) return Promise.reject(cannotOpen());
    const { logN, r, p, salt } = derivation;
    const made = new Promise<OperatorKey>((resolve, reject) => {
      const options = { N: 2 ** logN, r, p, maxmem: SCRYPT_MEMORY * 2 ** Math.max(0, logN - 17) * p };
      scrypt(this.passphrase, Buffer.from(salt, 'base64url'), KEY_BYTES, options, (error, bytes) => {
        if (error === null) resolve({ id: keyIdOf(bytes), derivation, bytes });
        else reject(cannotOpen());
      });
    });
    this.#derived.set(name, made);
    return made;
  }
}

/** Reads a file that must be its owner's alone. @throws GatewayError SECRET_INVALID naming the file. */
export async function readPrivateFile(file: string): Promise<string> {
  const handle = await open(file, 'r').catch(() => undefined);
  if (handle === undefined) throw badKey(file, 'cannot be read');
  try {
    const { mode, uid, size } = await handle.stat();
    if ((mode & 0o177) !== 0) throw badKey(file, `has mode 0${(mode & 0o777).toString(8)}: it must be 0600`);
    if (process.getuid !== undefined && uid !== process.getuid()) throw badKey(file, 'belongs to another user');
    if (size > FILE_BYTES_MAX) throw badKey(file, 'is too large for a key');
    return await handle.readFile('utf8');
  } finally {
    await handle.close();
  }
}

/** A descriptor can be read once in the life of a process; the check before a start, the start and each reload ask for it. */
const fromDescriptors = new Map<number, string>();

/** Reads an inherited descriptor to its end and closes it, before any child could inherit it; then remembers it. */
export function readDescriptor(descriptor: number): string {
  const known = fromDescriptors.get(descriptor);
  if (known !== undefined) return known;
  const text = readToEnd(descriptor);
  fromDescriptors.set(descriptor, text);
  return text;
}

function readToEnd(descriptor: number): string {
  const buffer = Buffer.alloc(FILE_BYTES_MAX);
  let length = 0;
  try {
    for (let read = -1; read !== 0 && length < FILE_BYTES_MAX; length += read)
      read = readSync(descriptor, buffer, length, FILE_BYTES_MAX - length, null);
  } catch {
    throw badKey(`descriptor ${descriptor}`, 'cannot be read');
  }
  closeSync(descriptor);
  return buffer.toString('utf8', 0, length);
}

export function badKey(from: string, reason: string): GatewayError {
  return new GatewayError('SECRET_INVALID', { from, reason }, { message: `the key in ${from} ${reason}` });
}

function keyIdOf(bytes: Buffer): string {
  return createHmac('sha256', bytes).update('opitios key id').digest('hex').slice(0, 16);
}
