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
    const headers = { 'content-type': reply.headers['content-type'] ?? 'application/json', ...BROKER_SOURCE };
    return { kind: 'answer', status, headers, body: reply.body, upstreamMs };
  }
  return { kind: 'problem', problem: refusalProblem(reply, notFound), upstreamMs };
}

const BROKER_SOURCE = { 'x-opitios-source': 'broker', age: '0' } as const;

/** `alpaca`: the broker's status and every member of its error document. */
export function brokerWords(status: number, body: Uint8Array): Readonly<Record<string, unknown>> {
  const parsed = mirroredOf(Buffer.from(body).toString());
  // Some errors are not JSON (ALPACA 1, trap 4): a page of the edge in front of the broker says nothing to a program.
  return { status, ...(parsed === undefined ? { message: 'the broker gave no readable reason' } : parsed.value) };
}

function refusalProblem(reply: Extract<BrokerReply, { kind: 'answered' }>, notFound: ProblemCode): Problem {
  const { status, body } = reply;
  const alpaca = brokerWords(status, body);
  const message = typeof alpaca['message'] === 'string' ? alpaca['message'] : 'the broker refused the request';
  if (status === 404) return { code: notFound, detail: message, alpaca };
  if (status === 429) return { code: 'rate-limited', detail: 'the broker limits this account', retryAfterS: 1, alpaca };
  if (status >= 500) return { code: 'broker-unreadable', detail: 'the broker failed', alpaca };
  // A 401 of the broker is about the gateway's key; passed on as such it would speak of the caller's token.
  if (status === 401) return { code: 'broker-refused', detail: 'the broker refuses the key of this account', alpaca };
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
