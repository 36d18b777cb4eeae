/**
 * Signed checkpoints: at intervals the heads of all chains are written down and signed (Ed25519) by a process that
 * writes no order records. Whoever rewrites a chain, or cuts its end, without that key is found out. The public key
 * lies beside the records, so that a copied directory verifies elsewhere.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, sign, verify, type KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { GatewayError } from '../domain/errors.js';
import type { Clock } from '../runtime/clock.js';
import type { Log } from '../runtime/log.js';
import { nodeAppendDisk } from './append-file.js';
import type { ChainHead } from './chain.js';
import { listWriters } from './segments.js';
import { findTail } from './tail.js';

export const CHECKPOINTS_FILE = 'checkpoints.jsonl';
export const PUBLIC_KEY_FILE = 'checkpoint-key.pub.pem';

export interface Checkpoint {
  readonly n: number;
  readonly at: string;
  readonly heads: Readonly<Record<string, ChainHead>>;
}

export interface CheckpointOptions {
  readonly dir: string;
  /** The private key in PEM, mode 0600, made when missing. Keep it off the machines that only read. */
  readonly keyFile: string;
  readonly intervalMs: number;
}

/** Signs the heads of all chains at intervals, when one has moved, and once more on close. */
export class Checkpointer {
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #last: Checkpoint | undefined;
  #key: KeyObject | undefined;

  constructor(
    private readonly options: CheckpointOptions,
    private readonly clock: Clock,
    private readonly log: Log,
  ) {}

  /** @throws GatewayError AUDIT_BROKEN when the key or the checkpoints cannot be read. */
  async start(): Promise<void> {
    await mkdir(this.options.dir, { recursive: true, mode: 0o700 });
    this.#key = await loadKey(this.options);
    await cutTornEnd(this.options.dir);
    this.#last = (await readCheckpoints(this.options.dir)).at(-1)?.checkpoint;
    this.#running = this.#run();
  }

  /** Signs now when a chain has moved; returns whether it did. */
  async sign(): Promise<boolean> {
    if (this.#key === undefined) throw new GatewayError('AUDIT_BROKEN', {}, { message: 'no checkpoint key' });
    const heads: Record<string, ChainHead> = {};
    for (const writer of await listWriters(this.options.dir)) {
      const { head } = await findTail(this.options.dir, writer);
      if (head.seq > 0) heads[writer] = head;
    }
    if (sameHeads(heads, this.#last?.heads ?? {})) return false;
    const checkpoint = { n: (this.#last?.n ?? 0) + 1, at: new Date(this.clock.now()).toISOString(), heads };
    const text = JSON.stringify(checkpoint);
    const signature = sign(null, Buffer.from(text), this.#key).toString('base64');
    const file = await nodeAppendDisk.open(join(this.options.dir, CHECKPOINTS_FILE));
    try {
      await file.append(Buffer.from(`${signature} ${text}\n`));
    } finally {
      await file.close();
    }
    this.#last = checkpoint;
    return true;
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    // The loop's last turn, after the abort, signs what is left.
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.clock.sleep(this.options.intervalMs, this.#stop.signal);
      await this.#signOrWarn();
    }
  }

  async #signOrWarn(): Promise<void> {
    try {
      await this.sign();
    } catch (cause) {
      this.log.error({ cause: String(cause) }, 'audit checkpoint not signed');
    }
  }
}

export interface SignedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly text: string;
  readonly signature: string;
}

/** All checkpoints in the order written; damaged lines are reported by `verify`, and are left out here. */
export async function readCheckpoints(dir: string): Promise<readonly SignedCheckpoint[]> {
  const text = await readFile(join(dir, CHECKPOINTS_FILE), 'utf8').catch((cause: unknown) => {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw cause;
  });
  return text
    .split('\n')
    .map(parseCheckpoint)
    .filter((parsed) => parsed !== undefined);
}

export function parseCheckpoint(line: string): SignedCheckpoint | undefined {
  const space = line.indexOf(' ');
  if (space < 1) return undefined;
  const text = line.slice(space + 1);
  try {
    return { signature: line.slice(0, space), text, checkpoint: JSON.parse(text) as Checkpoint };
  } catch {
    return undefined;
  }
}

export function isSigned(signed: SignedCheckpoint, publicKey: KeyObject): boolean {
  const bytes = Buffer.from(signed.signature, 'base64');
  // Base64 has several spellings of the same bytes; only the one that was written counts.
  if (bytes.toString('base64') !== signed.signature) return false;
  return verify(null, Buffer.from(signed.text), publicKey, bytes);
}

/** A checkpoint cut by a crash would spoil the one written after it. */
async function cutTornEnd(dir: string): Promise<void> {
  const path = join(dir, CHECKPOINTS_FILE);
  const bytes = await readFile(path).catch(() => undefined);
  if (bytes === undefined || bytes.length === 0 || bytes.at(-1) === 10) return;
  const file = await nodeAppendDisk.open(path);
  try {
    await file.truncate(bytes.lastIndexOf(10) + 1);
  } finally {
    await file.close();
  }
}

async function loadKey(options: CheckpointOptions): Promise<KeyObject> {
  const publicFile = join(options.dir, PUBLIC_KEY_FILE);
  await mkdir(dirname(options.keyFile), { recursive: true, mode: 0o700 });
  try {
    const key = createPrivateKey(readFileSync(options.keyFile));
    writeFileSync(publicFile, createPublicKey(key).export({ type: 'spki', format: 'pem' }), { mode: 0o644 });
    return key;
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw new GatewayError('AUDIT_BROKEN', {}, { cause });
  }
  const pair = generateKeyPairSync('ed25519');
  writeFileSync(options.keyFile, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600, flag: 'wx' });
  writeFileSync(publicFile, pair.publicKey.export({ type: 'spki', format: 'pem' }), { mode: 0o644 });
  return pair.privateKey;
}

function sameHeads(a: Readonly<Record<string, ChainHead>>, b: Readonly<Record<string, ChainHead>>): boolean {
  const writers = Object.keys(a);
  return writers.length === Object.keys(b).length && writers.every((writer) => a[writer]?.hash === b[writer]?.hash);
}
