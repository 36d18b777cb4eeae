/**
 * What the broker says when it says no: its own status, code, message and extra fields
 * (docs/broker-wire.md#keys-and-answers). Values, not exceptions: a refusal is an ordinary answer.
 */
export interface Refusal {
  readonly kind: 'refusal';
  readonly status: number;
  readonly code: number;
  readonly message: string;
  readonly extra?: Readonly<Record<string, unknown>>;
}

type Extra = Readonly<Record<string, unknown>>;

function refusal(status: number, code: number, message: string, extra?: Extra): Refusal {
  return extra === undefined
    ? { kind: 'refusal', status, code, message }
    : { kind: 'refusal', status, code, message, extra };
}

/** 422/40010001: the request itself is malformed or incomplete. */
export const malformed = (message: string): Refusal => refusal(422, 40010001, message);
/** 422/42210000: well formed, but this asset, contract or order state does not allow it. */
export const unprocessable = (message: string, extra?: Extra): Refusal => refusal(422, 42210000, message, extra);
/** 403/40310000: permissions, wash trades, buying power, quantity. */
export const forbidden = (message: string, extra?: Extra): Refusal => refusal(403, 40310000, message, extra);
/** 404/40410000. */
export const notFound = (message: string): Refusal => refusal(404, 40410000, message);
/** 400/40010000: a query parameter that cannot be read. */
export const badQuery = (message: string): Refusal => refusal(400, 40010000, message);

export const UNAUTHORIZED: Refusal = refusal(401, 40110000, 'request is not authorized');
export const RATE_LIMITED: Refusal = refusal(429, 42910000, 'rate limit exceeded');
export const INTERNAL: Refusal = refusal(500, 50010000, 'internal server error occurred');
export const TIMED_OUT: Refusal = refusal(504, 50410000, 'request timed out');

export function isRefusal(value: object): value is Refusal {
  return 'kind' in value && value.kind === 'refusal';
}

/** The body as the broker writes it: extra fields beside code and message. */
export function refusalBody(refused: Refusal): Record<string, unknown> {
  return { ...refused.extra, code: refused.code, message: refused.message };
}
