/**
 * The door's TokenVerifier: shape, key, signature (jose), claims, standing. A verdict may be remembered, keyed by the
 * SHA-256 of the whole token; time, revocation and key are checked again on every use. Issues no token to anybody.
 */
import { hash } from 'node:crypto';
import { compactVerify } from 'jose';
import type { Principal } from '../domain/permissions.js';
import type { Clock } from '../runtime/clock.js';
import type { Log } from '../runtime/log.js';
import { putInForce, type AuthPolicy, type PolicyInForce } from './auth-policy.js';
import { checkStanding, readClaims, type Verdict } from './claims.js';
import { JwksKeys } from './jwks-keys.js';
import { refuse } from './token-refusal.js';
import { readShape, TOKEN_BYTES_MAX } from './token-shape.js';
import type { TokenVerifier } from './token-verifier.js';
import { checkAlgorithm, readStaticKey, StaticKey, type KeySource } from './verification-keys.js';

/** When full, the oldest verdict goes: it costs one more verification. */
const VERDICTS_MAX = 10_000;

export interface VerifierParts {
  readonly clock: Clock;
  readonly log: Log;
}

export class JwtVerifier implements TokenVerifier {
  readonly #verdicts = new Map<string, Verdict>();
  readonly #verdictOf = new WeakMap<Principal, Verdict>();
  /** Verified under the policy and keys in force. */
  #current = new WeakSet<Principal>();
  #policy: PolicyInForce;
  #keys: KeySource;

  private constructor(
    private readonly parts: VerifierParts,
    policy: AuthPolicy,
    keys: KeySource,
  ) {
    this.#policy = putInForce(policy);
    this.#keys = keys;
  }

  /** Reads the keys. @throws GatewayError CONFIG_INVALID, SECRET_INVALID when they cannot be used. */
  static async open(policy: AuthPolicy, parts: VerifierParts): Promise<JwtVerifier> {
    const changed: { by?: JwtVerifier } = {};
    const keys = await keySource(policy, parts, () => changed.by?.forget());
    const verifier = new JwtVerifier(parts, policy, keys);
    changed.by = verifier;
    return verifier;
  }

  /** A reload: new revocations count at once, new keys end what the old ones signed. Nothing changes when it throws. */
  async reconfigure(policy: AuthPolicy): Promise<void> {
    const sameKeySet = policy.jwksUrl !== undefined && policy.jwksUrl === this.#policy.jwksUrl;
    const keys = sameKeySet ? this.#keys : await keySource(policy, this.parts, () => this.forget());
    this.#keys = keys;
    this.#policy = putInForce(policy);
    this.forget();
  }

  /** Drops every remembered verdict. */
  forget(): void {
    this.#verdicts.clear();
    this.#current = new WeakSet();
  }

  known(token: string): Principal | undefined {
    if (token.length > TOKEN_BYTES_MAX) return undefined;
    const digest = digestOf(token);
    const verdict = this.#verdicts.get(digest);
    if (verdict === undefined) return undefined;
    if (this.#stands(verdict)) return verdict.principal;
    this.#verdicts.delete(digest);
    return undefined;
  }

  stillKnown(principal: Principal): boolean {
    const verdict = this.#verdictOf.get(principal);
    return verdict !== undefined && this.#current.has(principal) && this.#stands(verdict);
  }

  async verify(token: string): Promise<Principal> {
    const policy = this.#policy;
    const keys = this.#keys;
    const shape = readShape(token);
    if (!policy.algorithms.includes(shape.algorithm)) throw refuse('algorithm');
    const key = await keys.keyFor(shape);
    checkAlgorithm(key, shape, policy);
    try {
      await compactVerify(token, key.key, { algorithms: [key.algorithm] });
    } catch (cause) {
      throw refuse('signature', cause);
    }
    const nowS = this.#nowS();
    const verdict = readClaims(shape.payload, policy, nowS, key.id);
    const standing = checkStanding(verdict, policy, nowS);
    if (standing !== 'good') throw refuse(standing);
    // A reload while the signature was checked: the new policy decides, so ask it.
    if (policy !== this.#policy || keys !== this.#keys) return this.verify(token);
    this.#remember(token, verdict);
    return verdict.principal;
  }

  /** A principal that this verifier did not make (it came over the mesh) is judged by what it carries. */
  stillValid(principal: Principal): boolean {
    const verdict = this.#verdictOf.get(principal);
    if (verdict !== undefined) return this.#stands(verdict);
    const carried = { principal, expiresAt: principal.expiresAt, issuedAt: undefined, validFrom: undefined, keyId: '' };
    return checkStanding(carried, this.#policy, this.#nowS()) === 'good';
  }

  #stands(verdict: Verdict): boolean {
    return this.#keys.holds(verdict.keyId) && checkStanding(verdict, this.#policy, this.#nowS()) === 'good';
  }

  #remember(token: string, verdict: Verdict): void {
    this.#verdictOf.set(verdict.principal, verdict);
    this.#current.add(verdict.principal);
    if (this.#verdicts.size >= VERDICTS_MAX) {
      const oldest = this.#verdicts.keys().next();
      if (oldest.done !== true) this.#verdicts.delete(oldest.value);
    }
    this.#verdicts.set(digestOf(token), verdict);
  }

  #nowS(): number {
    return this.parts.clock.now() / 1000;
  }
}

async function keySource(policy: AuthPolicy, parts: VerifierParts, onChange: () => void): Promise<KeySource> {
  if (policy.jwksUrl === undefined) return new StaticKey(await readStaticKey(policy));
  return new JwksKeys({ url: policy.jwksUrl, clock: parts.clock, log: parts.log, onChange });
}

function digestOf(token: string): string {
  return hash('sha256', token, 'base64');
}
