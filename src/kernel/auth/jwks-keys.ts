/**
 * Keys of an issuer, fetched from its key set. Fetches are rare whatever tokens arrive (one a cool-down), bounded in size and
 * time, and follow no redirect. An outage keeps the last good set up to its greatest age; a removed key dies with the refresh.
 */
import { createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto';
import type { Clock } from '../runtime/clock.js';
import type { Log } from '../runtime/log.js';
import type { TokenShape } from './token-shape.js';
import { refuse } from './token-refusal.js';
import { algorithmOf, fingerprint, type KeySource, type VerificationKey } from './verification-keys.js';

const COOL_DOWN_MS = 30_000;
/** Refreshed behind a request from here on … */
const REFRESH_AGE_MS = 300_000;
/** … and before it from here on. */
const FRESH_AGE_MS = 600_000;
/** During an outage the last good set counts so long. */
const LAST_GOOD_AGE_MS = 6 * 3_600_000;
const FETCH_TIMEOUT_MS = 5000;
const BYTES_MAX = 262_144;
const KEYS_MAX = 100;

interface KeySet {
  readonly byName: ReadonlyMap<string, VerificationKey>;
  readonly keys: readonly VerificationKey[];
  readonly fetchedAt: number;
}

export interface JwksOptions {
  readonly url: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Called when the keys of a new set are not those of the old one. */
  readonly onChange: () => void;
}

export class JwksKeys implements KeySource {
  #set: KeySet | undefined;
  #attemptedAt: number | undefined;
  #underWay: Promise<void> | undefined;

  constructor(private readonly options: JwksOptions) {}

  async keyFor(shape: TokenShape): Promise<VerificationKey> {
    const age = this.#age();
    if (age >= FRESH_AGE_MS) await this.#refresh();
    else if (age >= REFRESH_AGE_MS) void this.#refresh();
    const found = this.#find(shape);
    if (found !== undefined) return found;
    await this.#refresh();
    if (this.#age() > LAST_GOOD_AGE_MS) throw refuse('keys-unavailable');
    const second = this.#find(shape);
    if (second === undefined) throw refuse('key-unknown');
    return second;
  }

  /** False past the fresh age unless a refresh was tried since and failed: then the last good set goes on counting. */
  holds(keyId: string): boolean {
    const age = this.#age();
    const outage = this.#attemptedAt !== undefined && this.#now() - this.#attemptedAt < 2 * COOL_DOWN_MS;
    if (age > LAST_GOOD_AGE_MS || (age >= FRESH_AGE_MS && !outage)) return false;
    return this.#set?.keys.some((key) => key.id === keyId) ?? false;
  }

  #find({ keyId, algorithm }: TokenShape): VerificationKey | undefined {
    if (this.#set === undefined || this.#age() > LAST_GOOD_AGE_MS) return undefined;
    if (keyId !== undefined) return this.#set.byName.get(keyId);
    const fitting = this.#set.keys.filter((key) => key.algorithm === algorithm);
    return fitting.length === 1 ? fitting[0] : undefined;
  }

  #now(): number {
    return this.options.clock.monotonicMs();
  }

  #age(): number {
    return this.#set === undefined ? Number.POSITIVE_INFINITY : this.#now() - this.#set.fetchedAt;
  }

  /** Never rejects: whoever asked looks at the set afterwards. */
  #refresh(): Promise<void> {
    if (this.#underWay !== undefined) return this.#underWay;
    const now = this.#now();
    if (this.#attemptedAt !== undefined && now - this.#attemptedAt < COOL_DOWN_MS) return Promise.resolve();
    this.#attemptedAt = now;
    this.#underWay = this.#fetch().finally(() => (this.#underWay = undefined));
    return this.#underWay;
  }

  async #fetch(): Promise<void> {
    try {
      const before = this.#set?.keys
        .map((key) => key.id)
        .sort()
        .join();
      const set = readKeySet(await fetchText(this.options.url), this.#now());
      this.#set = set;
      if (
        before !== undefined &&
        before !==
          set.keys
            .map((key) => key.id)
            .sort()
            .join()
      )
        this.options.onChange();
    } catch (cause) {
      this.options.log.warn({ cause, url: this.options.url }, 'key set not refreshed');
    }
  }
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, {
    redirect: 'error',
    signal: AbortSignal.timeout(FETCH_TIMEOUT_MS),
    headers: { accept: 'application/json' },
  });
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw refuse('keys-unavailable');
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > BYTES_MAX) throw refuse('keys-unavailable');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readKeySet(text: string, fetchedAt: number): KeySet {
  const document = JSON.parse(text) as { readonly keys?: unknown };
  if (!Array.isArray(document.keys)) throw refuse('keys-unavailable');
  const byName = new Map<string, VerificationKey>();
  const keys: VerificationKey[] = [];
  for (const entry of document.keys.slice(0, KEYS_MAX) as unknown[]) {
    const jwk = entry as JsonWebKey & { readonly kid?: unknown; readonly use?: unknown; readonly alg?: unknown };
    const key = usable(jwk);
    if (key === undefined) continue;
    keys.push(key);
    if (typeof jwk.kid === 'string' && !byName.has(jwk.kid)) byName.set(jwk.kid, key);
  }
  if (keys.length === 0) throw refuse('keys-unavailable');
  return { byName, keys, fetchedAt };
}

/** Public signature keys only: a symmetric key in a public document is everybody's. */
function usable(jwk: JsonWebKey & { readonly use?: unknown; readonly alg?: unknown }): VerificationKey | undefined {
  if (jwk.kty === 'oct' || jwk.d !== undefined || (jwk.use !== undefined && jwk.use !== 'sig')) return undefined;
  let key: KeyObject;
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' });
  } catch {
    return undefined;
  }
  const algorithm = algorithmOf(key);
  if (algorithm === undefined || (jwk.alg !== undefined && jwk.alg !== algorithm)) return undefined;
  return { id: fingerprint(key.export({ type: 'spki', format: 'der' })), algorithm, key };
}
