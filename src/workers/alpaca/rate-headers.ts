/** `X-RateLimit-*` as the broker sends them with every answer (docs/broker-wire.md#rate-limits). */
export interface RateHeaders {
  readonly limit: number;
  readonly remaining: number;
  /** Seconds since the epoch, by the broker's clock. */
  readonly resetAtS: number;
  /** The broker's wall clock at the answer, milliseconds; undefined without a Date header. */
  readonly brokerNowMs: number | undefined;
}

export function rateHeadersOf(headers: Readonly<Record<string, string>>): RateHeaders | undefined {
  const limit = Number(headers['x-ratelimit-limit'] ?? NaN);
  const remaining = Number(headers['x-ratelimit-remaining'] ?? NaN);
  const resetAtS = Number(headers['x-ratelimit-reset'] ?? NaN);
  if (![limit, remaining, resetAtS].every((value) => Number.isFinite(value) && value >= 0)) return undefined;
  const date = Date.parse(headers['date'] ?? '');
  return { limit, remaining, resetAtS, brokerNowMs: Number.isNaN(date) ? undefined : date };
}

/** Seconds of a `Retry-After` header (RFC 9110 10.2.3); undefined when there is none that can be used. */
export function retryAfterOf(headers: Readonly<Record<string, string>>, nowMs: number): number | undefined {
  const text = headers['retry-after'];
  if (text === undefined) return undefined;
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : (Date.parse(text) - nowMs) / 1000;
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined;
}
