/** Bearer tokens as the edges see them. The policy is docs/security.md#tokens. */
import type { Principal } from '../domain/permissions.js';

export interface TokenVerifier {
  /**
   * The principal of a token verified before and still good (expiry, not-before and revocation are checked again now);
   * undefined when it must be verified in full. Keeps the hot path free of promises.
   */
  known(token: string): Principal | undefined;
  /**
   * Whether the token that gave this principal would still be known: for who remembers the principal beside the token,
   * as a connection does. Everything that `known` checks is checked, without the token.
   */
  stillKnown(principal: Principal): boolean;
  /** @throws GatewayError TOKEN_INVALID; the facts carry a `reason` from a closed list, for the log, never for the caller. */
  verify(token: string): Promise<Principal>;
  /** Bearers are told whether their token still holds: streams re-check a live socket with it. */
  stillValid(principal: Principal): boolean;
}
