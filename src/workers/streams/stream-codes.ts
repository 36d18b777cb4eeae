/** What a stream can tell a client that goes wrong. The codes are the contract; docs/api.md is made from these tables. */
export const STREAM_ERRORS = {
  'message-malformed': 'The message is not a JSON object in UTF-8 with a known action',
  'field-unknown': 'The message has a field that its action does not take',
  'field-malformed': 'A field of the message is not acceptable',
  'auth-required': 'The first message must carry a token',
  'auth-failed': 'The token is not acceptable',
  'auth-subject-differs': 'A token can only be renewed for the same subject',
  'token-ended': 'The token has expired or was revoked',
  'permission-missing': 'The token lacks the permission of this channel',
  'account-not-found': 'Account not found',
  'symbol-malformed': 'A symbol is malformed',
  'symbol-refused': 'The upstream limit of subscribed symbols is reached',
  'subscription-limit': 'This socket may not hold more subscriptions',
  'rate-limited': 'Too many messages',
  'resume-failed': 'The owner of the account did not answer: try again',
  'slow-reader': 'Order events are not read fast enough: reconnect and resume',
  unavailable: 'The gateway cannot do this now: try again',
} as const;

export type StreamErrorCode = keyof typeof STREAM_ERRORS;

/** Close codes beyond those of RFC 6455 7.4.1, which also occur: 1007 invalid UTF-8, 1009 message too big, 1012 restart. */
export const CLOSE_CODES = {
  malformed: 4400,
  unauthenticated: 4401,
  slowReader: 4408,
  flooding: 4429,
  restarting: 1012,
  noPong: 1013,
} as const;

export interface StreamErrorRecord {
  readonly code: StreamErrorCode;
  readonly detail?: string;
  readonly members?: Readonly<Record<string, unknown>>;
}

export function errorText({ code, detail, members }: StreamErrorRecord): string {
  return JSON.stringify({ type: 'error', code, detail: detail ?? STREAM_ERRORS[code], ...members });
}
