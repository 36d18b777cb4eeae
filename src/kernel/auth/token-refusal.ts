/** Why a token is refused: a closed list, for the log. The caller hears the same 401 whatever the reason. */
import { GatewayError } from '../domain/errors.js';

export type TokenRefusal =
  | 'too-long'
  | 'shape'
  | 'encoding'
  | 'not-json'
  | 'duplicate-key'
  | 'header'
  | 'type'
  | 'algorithm'
  | 'key-unknown'
  | 'keys-unavailable'
  | 'signature'
  | 'expired'
  | 'not-yet-valid'
  | 'lifetime'
  | 'issuer'
  | 'audience'
  | 'claims'
  | 'permissions'
  | 'accounts'
  | 'subject'
  | 'revoked';

export function refuse(reason: TokenRefusal, cause?: unknown): GatewayError {
  return new GatewayError('TOKEN_INVALID', { reason }, cause === undefined ? undefined : { cause });
}
