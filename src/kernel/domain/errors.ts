/** Broken expectations. A result that is expected (denied, rejected, unknown) is a return type, not an error. */

export type GatewayErrorCode =
  | 'ACCOUNT_ID_MALFORMED'
  | 'ASSERTION_FAILED'
  | 'AUDIT_BROKEN'
  | 'CALL_CANCELED'
  | 'CONFIG_INVALID'
  | 'DEADLINE_EXCEEDED'
  | 'FRAME_INVALID'
  | 'INSTANCE_LOCKED'
  | 'JOURNAL_BROKEN'
  | 'JOURNAL_LOCKED'
  | 'MESSAGE_INVALID'
  | 'ORDER_TRANSITION_INVALID'
  | 'PEER_GONE'
  | 'PORT_IN_USE'
  | 'QUEUE_FULL'
  | 'REFUSED'
  | 'SECRET_INVALID'
  | 'SHARED_MEMORY_BROKEN'
  | 'TOKEN_INVALID'
  | 'UPSTREAM_NOT_SENT'
  | 'UPSTREAM_AMBIGUOUS'
  | 'WORKER_FAILED';

/** The code is stable and the facts are fields; the message is for people and may change. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';

  constructor(
    readonly code: GatewayErrorCode,
    readonly facts: Readonly<Record<string, unknown>> = {},
    options?: { readonly cause?: unknown; readonly message?: string },
  ) {
    super(options?.message ?? code, options?.cause === undefined ? undefined : { cause: options.cause });
  }
}

/** Ends a `switch` over a union: a new member does not compile until every switch handles it. */
export function unreachable(value: never): never {
  throw new GatewayError('ASSERTION_FAILED', { value }, { message: 'a closed union grew a member nobody handles' });
}

/** An invariant of our own. A failed one ends the process: the supervisor can restart it and cannot repair it. */
export function assertThat(holds: boolean, sentence: string): asserts holds {
  if (!holds) throw new GatewayError('ASSERTION_FAILED', {}, { message: sentence });
}
