/** What the switches change on an answer that still arrives: its time, its headers, its symbol; and who asks again. */
import type { ServerResponse } from 'node:http';
import type { Answer } from '../rest/answer.js';
import { readJson } from '../rest/request.js';
import type { SeededRandom } from '../venue/seeded-random.js';
import type { RequestFault } from './fault.js';

/** Attempts are counted per client order id; beyond this many ids counting starts anew. */
const ATTEMPTS_MAX = 500_000;

/** How often an order has been sent: what `attemptFrom` of a switch compares with. */
export class AttemptCounter {
  readonly #attempts = new Map<string, number>();

  /** Counts one and answers how many there were, this one included. */
  count(key: string): number {
    if (this.#attempts.size >= ATTEMPTS_MAX) this.#attempts.clear();
    const attempt = (this.#attempts.get(key) ?? 0) + 1;
    this.#attempts.set(key, attempt);
    return attempt;
  }
}

/** Milliseconds that the switches add before the work or before the answer. */
export function latency(faults: readonly RequestFault[], when: 'before' | 'after', random: SeededRandom): number {
  let sum = 0;
  for (const fault of faults) {
    if (fault.kind !== 'latency' || (fault.when ?? 'after') !== when) continue;
    sum += fault.ms + (fault.jitterMs ?? 0) * random.next();
  }
  return sum;
}

/** Headers of a 429 that a switch asked for: possibly none, possibly nonsense, as seen in the wild. */
export function limitHeaders(
  res: ServerResponse,
  fault: Extract<RequestFault, { kind: 'rate-limited' }>,
  nowMs: number,
): void {
  if (fault.retryAfter !== undefined) res.setHeader('Retry-After', String(fault.retryAfter));
  if (fault.reset === null) {
    for (const name of ['Limit', 'Remaining', 'Reset']) res.removeHeader(`X-RateLimit-${name}`);
    return;
  }
  res.setHeader('X-RateLimit-Remaining', 0);
  const now = Math.floor(nowMs / 1000);
  if (fault.reset === 'past') res.setHeader('X-RateLimit-Reset', now - 60);
  else if (fault.reset === 'plus-1h') res.setHeader('X-RateLimit-Reset', now + 3_600);
  else if (fault.reset !== undefined) res.setHeader('X-RateLimit-Reset', now + fault.reset);
}

/** The same object, about another symbol. Lists are left alone. */
export function withSymbol(answer: Answer, symbol: string): Answer {
  const body = readJson(answer.body ?? '');
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return answer;
  return { ...answer, body: JSON.stringify({ ...body, symbol }) };
}
