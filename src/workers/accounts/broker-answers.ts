/** A broker's reply to a read, as the caller is told it: its bytes when it answered well, a problem with its words else. */
import type { AccountAnswer } from '../../kernel/domain/account-request.js';
import type { Problem, ProblemCode } from '../../kernel/domain/problem.js';
import type { BrokerReply } from './account-session.js';
import { mirroredOf } from './mirrored.js';
import type { RateBudget } from './rate-budget.js';

export function answerOf(reply: BrokerReply, notFound: ProblemCode, budget: RateBudget): AccountAnswer {
  if (reply.kind === 'ambiguous') {
    const code = reply.detail === 'deadline' ? 'broker-timeout' : 'broker-unreadable';
    return { kind: 'problem', problem: { code, detail: reply.detail }, upstreamMs: reply.upstreamMs };
  }
  if (reply.kind === 'not-sent') return { kind: 'problem', problem: notSentProblem(reply, budget) };
  const { status, upstreamMs } = reply;
  if (status < 300) {
    if (!isJson(reply.body)) return { kind: 'problem', problem: UNREADABLE, upstreamMs };
    const headers = { 'content-type': reply.headers['content-type'] ?? 'application/json', ...BROKER_SOURCE };
    return { kind: 'answer', status, headers, body: reply.body, upstreamMs };
  }
  return { kind: 'problem', problem: refusalProblem(reply, notFound), upstreamMs };
}

const UNREADABLE: Problem = { code: 'broker-unreadable', detail: 'the broker answered well and not in JSON' };

/** A page of something in between may come with status 200. */
function isJson(body: Uint8Array): boolean {
  try {
    const value: unknown = JSON.parse(Buffer.from(body).toString());
    return typeof value === 'object' && value !== null;
  } catch {
    return false;
  }
}

const BROKER_SOURCE = { 'x-opitios-source': 'broker', age: '0' } as const;

/** `alpaca`: the broker's status and every member of its error document. */
export function brokerWords(status: number, body: Uint8Array): Readonly<Record<string, unknown>> {
  const parsed = mirroredOf(Buffer.from(body).toString());
  // Some errors are not JSON (docs/broker-wire.md#keys-and-answers): a page of the edge in front of the broker says
  // nothing to a program.
  return { status, ...(parsed === undefined ? { message: 'the broker gave no readable reason' } : parsed.value) };
}

function refusalProblem(reply: Extract<BrokerReply, { kind: 'answered' }>, notFound: ProblemCode): Problem {
  const { status, body } = reply;
  const alpaca = brokerWords(status, body);
  const message = typeof alpaca['message'] === 'string' ? alpaca['message'] : 'the broker refused the request';
  if (status === 404) return { code: notFound, detail: message, alpaca };
  if (status === 429) {
    const { retryAfterS = 1 } = reply;
    return { code: 'rate-limited', detail: 'the broker limits this account', retryAfterS, alpaca };
  }
  if (status >= 500) return { code: 'broker-unreadable', detail: 'the broker failed', alpaca };
  // About the gateway's keys; passed on as such it would speak of the caller's token. A 403 of the broker's own has a code.
  const isOfKeys =
    status === 401 ||
    (status === 403 && mirroredOf(Buffer.from(body).toString()) !== undefined && alpaca['code'] === undefined);
  if (isOfKeys) {
    return {
      code: 'broker-credentials-refused',
      detail: 'the broker refuses the keys of this account',
      retryAfterS: 5,
      alpaca,
    };
  }
  return { code: 'broker-refused', status: status < 400 ? 502 : status, detail: message, alpaca };
}

function notSentProblem(reply: Extract<BrokerReply, { kind: 'not-sent' }>, budget: RateBudget): Problem {
  const retryAfterS = reply.retryAfterS ?? 1;
  switch (reply.reason) {
    case 'budget': {
      const { limit, remaining, resetsInMs } = budget.state();
      // RateLimit fields of draft-ietf-httpapi-ratelimit-headers.
      const resetS = Math.ceil(resetsInMs / 1000);
      const headers = {
        ratelimit: `"account";r=${remaining};t=${resetS}`,
        'ratelimit-policy': `"account";q=${limit};w=60`,
      };
      return { code: 'rate-limited', detail: reply.detail, retryAfterS, headers };
    }
    case 'breaker':
      return { code: 'account-unavailable', detail: reply.detail, retryAfterS };
    case 'connect':
      return { code: 'broker-unreachable', detail: reply.detail, retryAfterS };
    case 'deadline':
      return { code: 'broker-timeout', detail: 'no answer in time', retryAfterS };
    case 'forbidden':
    case 'closed':
      return { code: 'account-unavailable', detail: reply.detail, retryAfterS };
  }
}
