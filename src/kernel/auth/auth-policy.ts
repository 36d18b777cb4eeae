/** What a token must satisfy. The `auth` section of the compiled configuration has exactly this shape. */
export interface AuthPolicy {
  readonly algorithms: readonly string[];
  /** HS256, opened: never an `enc:` envelope. */
  readonly secret?: string;
  readonly publicKeyFile?: string;
  /** What stands in that file, where it has been read already. */
  readonly publicKeyPem?: string;
  readonly jwksUrl?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly clockToleranceS: number;
  readonly maxLifetimeS: number;
  readonly revokedTokenIds: readonly string[];
  /** Subject to seconds since the epoch: tokens issued before are refused. */
  readonly notBefore: Readonly<Record<string, number>>;
}

/** The policy with its revocation list as a set: it is asked on every request. */
export interface PolicyInForce extends AuthPolicy {
  readonly revoked: ReadonlySet<string>;
}

export function putInForce(policy: AuthPolicy): PolicyInForce {
  return { ...policy, revoked: new Set(policy.revokedTokenIds) };
}
