/**
 * Every refusal that a caller can meet: the code is the contract, the status and the title follow from it. Rendered as
 * RFC 9457 problem+json by workers/http and as error records by workers/streams.
 */
export const PROBLEMS = {
  'request-malformed': { status: 400, title: 'The request is malformed' },
  'validation-failed': { status: 400, title: 'A field of the request is not acceptable' },
  'idempotency-key-malformed': { status: 400, title: 'The Idempotency-Key header is not acceptable' },
  'idempotency-key-required': { status: 400, title: 'This gateway requires an Idempotency-Key' },
  unauthenticated: { status: 401, title: 'A valid bearer token is required' },
  'permission-missing': { status: 403, title: 'The token lacks a permission' },
  'origin-not-allowed': { status: 403, title: 'The page that opened the stream is not allowed to' },
  'https-required': { status: 403, title: 'HTTPS is required' },
  'position-held': { status: 403, title: 'Open orders hold the position' },
  'trading-halted': { status: 403, title: 'Trading is halted' },
  'not-found': { status: 404, title: 'There is nothing at this address' },
  'account-not-found': { status: 404, title: 'Account not found' },
  'symbol-not-found': { status: 404, title: 'Symbol not found' },
  'order-not-found': { status: 404, title: 'Order not found' },
  'method-not-allowed': { status: 405, title: 'This address does not take this method' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive' },
  'request-in-flight': { status: 409, title: 'A request with this key is still in flight' },
  'client-order-id-collision': { status: 409, title: 'The client order id belongs to another order' },
  'close-in-progress': { status: 409, title: 'A close of this position is under way' },
  'outcome-unknown-open': { status: 409, title: 'An outcome of this account is still unknown' },
  'payload-too-large': { status: 413, title: 'The body is too large' },
  'uri-too-long': { status: 414, title: 'The address is too long' },
  'unsupported-media-type': { status: 415, title: 'The body must be application/json in UTF-8' },
  'misdirected-request': { status: 421, title: 'Another instance owns this account' },
  'idempotency-key-reused': { status: 422, title: 'The key was used for a different request' },
  'risk-denied': { status: 422, title: 'A risk rule denied the order' },
  'upgrade-required': { status: 426, title: 'This address speaks another protocol' },
  'rate-limited': { status: 429, title: 'Too many requests' },
  'headers-too-large': { status: 431, title: 'The request headers are too large' },
  'internal-error': { status: 500, title: 'The gateway failed' },
  'broker-unreadable': { status: 502, title: 'The broker gave no usable answer' },
  'broker-unreachable': { status: 502, title: 'The broker could not be reached' },
  'broker-credentials-refused': { status: 503, title: 'The broker refuses the keys of the account' },
  'order-not-sent': { status: 503, title: 'The order was not sent' },
  'lease-lost': { status: 503, title: 'This instance does not own the account now' },
  'owner-unavailable': { status: 503, title: 'The owner of the account is being replaced' },
  'account-unavailable': { status: 503, title: 'The account has no working session' },
  'market-data-unavailable': { status: 503, title: 'Market data is not available' },
  overloaded: { status: 503, title: 'The gateway is overloaded' },
  draining: { status: 503, title: 'The gateway is draining' },
  'broker-timeout': { status: 504, title: 'The broker did not answer in time' },
  /** The broker refused; the status is the broker's own and `alpaca` carries its words. */
  'venue-rejected': { status: 422, title: 'The broker refused the request' },
  'broker-refused': { status: 502, title: 'The broker refused the request' },
} as const satisfies Readonly<Record<string, { readonly status: number; readonly title: string }>>;

export type ProblemCode = keyof typeof PROBLEMS;

/** Names the field by its path: `legs[0].ratio_qty`. `in` tells where it stood. */
export interface FieldError {
  readonly field: string;
  readonly in: 'body' | 'query' | 'path' | 'header';
  readonly detail: string;
}

/** A refusal on its way to the caller. Plain data: it crosses the mesh as JSON. */
export interface Problem {
  readonly code: ProblemCode;
  readonly detail: string;
  /** Only where it differs from the table: a refusal by the broker keeps the broker's status. */
  readonly status?: number;
  readonly errors?: readonly FieldError[];
  /** The broker's own words: `{status, code, message, …}` with every extra field it sent. */
  readonly alpaca?: Readonly<Record<string, unknown>>;
  readonly retryAfterS?: number;
  /** Further members of the document: `rule`, `retryable`, `client_order_id`, … */
  readonly members?: Readonly<Record<string, unknown>>;
  /** Further response headers: `Allow`, `Idempotency-Replayed`, `RateLimit`, … */
  readonly headers?: Readonly<Record<string, string>>;
}

export function problemStatus(problem: Problem): number {
  return problem.status ?? PROBLEMS[problem.code].status;
}
