/**
 * Answers to callers (docs/order-protocol.md#what-each-answer-means). The broker's bytes go through untouched; our own
 * words are problems.
 */
import type { AccountAnswer } from '../../kernel/domain/account-request.js';
import type { IntentKind, OutcomeRecord, OutcomeState } from '../../kernel/journal/records.js';
import type { Problem, ProblemCode } from '../../kernel/domain/problem.js';
import { isDuplicateId } from './core/classify.js';
import type { Verdict } from './core/outcome.js';

const JSON_TYPE = 'application/json; charset=utf-8';

/** Seconds after which a caller may sensibly ask again. */
const RETRY_AFTER_S = 1;

export function jsonAnswer(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): AccountAnswer {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  return { kind: 'answer', status, headers: { 'content-type': JSON_TYPE, ...headers }, body: bytes };
}

export function problemAnswer(
  code: ProblemCode,
  detail: string,
  more: Omit<Problem, 'code' | 'detail'> = {},
): AccountAnswer {
  return { kind: 'problem', problem: { code, detail, ...more } };
}

/** Nothing reached the broker, and trying again with the same key is safe. */
export function notSentProblem(reason: string, detail: string, retryAfterS = RETRY_AFTER_S): Problem {
  return { code: 'order-not-sent', detail, retryAfterS, members: { retryable: true, reason } };
}

export function notSent(reason: string, detail: string, retryAfterS = RETRY_AFTER_S): AccountAnswer {
  return { kind: 'problem', problem: notSentProblem(reason, detail, retryAfterS) };
}

/** About the gateway's keys, never about the caller's token: nothing was done, and it may work again in a moment. */
export function keysRefused(): AccountAnswer {
  const detail = 'The broker refuses the keys of this account.';
  return problemAnswer('broker-credentials-refused', detail, { retryAfterS: 5, members: { retryable: true } });
}

/** Nothing reached the broker: whether this instance still owns the account cannot be told now. */
export function leaseLost(): AccountAnswer {
  const detail = 'The lease of this account has run out here and could not be renewed; the order was not sent.';
  return problemAnswer('lease-lost', detail, {
    retryAfterS: RETRY_AFTER_S,
    members: { retryable: true, reason: 'lease' },
  });
}

/** Never an error status: that would invite a second order under a new key. */
export function unknownAnswer(accountId: string, clientOrderId: string): AccountAnswer {
  return jsonAnswer(
    202,
    { status: 'unknown', account_id: accountId, client_order_id: clientOrderId },
    { location: locationOfUnknown(accountId, clientOrderId), 'retry-after': String(RETRY_AFTER_S) },
  );
}

export function locationOfUnknown(accountId: string, clientOrderId: string): string {
  return `/api/v1/accounts/${accountId}/orders/by-client-order-id/${encodeURIComponent(clientOrderId)}`;
}

export function locationOfOrder(accountId: string, orderId: string): string {
  return `/api/v1/accounts/${accountId}/orders/${encodeURIComponent(orderId)}`;
}

/** What else the broker may call an id does not belong in a header. */
const PLAIN_ID = /^[\x21-\x7e]{1,128}$/;

/** The stored outcome as an answer; a replay says so, refusals included. */
export function answerOf(outcome: OutcomeRecord, replayed: boolean): AccountAnswer {
  const mark = { 'idempotency-replayed': String(replayed) };
  const { answer } = outcome;
  if (answer.kind === 'problem') {
    return { kind: 'problem', problem: { ...answer.problem, headers: { ...answer.problem.headers, ...mark } } };
  }
  const location = answer.location === undefined ? {} : { location: answer.location };
  return {
    kind: 'answer',
    status: answer.status,
    headers: { 'content-type': JSON_TYPE, ...location, ...mark },
    body: new TextEncoder().encode(answer.body),
  };
}

/** What is written down, and then said, once an intent has ended. */
export function outcomeOf(
  verdict: Verdict,
  intent: { readonly kind: IntentKind; readonly accountId: string; readonly clientOrderId: string },
  at: number,
): OutcomeRecord {
  if (verdict.state === 'ACKED' && verdict.order !== undefined) {
    const brokerOrderId = String(verdict.order['id']);
    const location = PLAIN_ID.test(brokerOrderId) ? { location: locationOfOrder(intent.accountId, brokerOrderId) } : {};
    const body = verdict.body ?? JSON.stringify(verdict.order);
    const status = intent.kind === 'replace' ? 200 : 201;
    const state: OutcomeState = verdict.late ? 'ACKED_LATE' : 'ACKED';
    return { state, at, brokerOrderId, answer: { kind: 'answer', status, ...location, body } };
  }
  const problem = problemOf(verdict, intent);
  return { state: negativeStateOf(verdict), at, answer: { kind: 'problem', problem } };
}

function negativeStateOf(verdict: Verdict): OutcomeState {
  if (verdict.state === 'REJECTED' || verdict.state === 'CONFLICT' || verdict.state === 'NOT_SENT')
    return verdict.state;
  return 'ABANDONED_UNCONFIRMED';
}

function problemOf(
  verdict: Verdict,
  { clientOrderId, kind }: { readonly clientOrderId: string; readonly kind: IntentKind },
): Problem {
  const members = { client_order_id: clientOrderId };
  if (verdict.state === 'REJECTED' && verdict.refusal !== undefined) {
    const { status, alpaca } = verdict.refusal;
    // The broker named an id under which it shows no order of ours.
    const code = isDuplicateId(status, alpaca) ? 'client-order-id-collision' : 'venue-rejected';
    return {
      code,
      status,
      detail: messageOf(alpaca),
      alpaca,
      members,
    };
  }
  if (verdict.state === 'CONFLICT') {
    const detail = 'The broker holds a different order under this client order id.';
    const { status, alpaca } = verdict.refusal ?? {};
    const said = alpaca === undefined ? {} : { alpaca };
    // A replacement has an order to go on with: its caller gets the broker's own refusal.
    const own = kind === 'replace' && status !== undefined ? { status } : {};
    return { code: 'client-order-id-collision', detail, members, ...said, ...own };
  }
  if (verdict.notSent?.kind === 'throttled') {
    const base = notSentProblem(
      'throttled',
      'The broker took no more requests of this account.',
      verdict.notSent.retryAfterS,
    );
    return { ...base, members: { ...base.members, ...members } };
  }
  if (verdict.notSent?.kind === 'not-sent') {
    const { reason, detail, retryAfterS } = verdict.notSent;
    if (reason === 'credentials') {
      return {
        code: 'broker-credentials-refused',
        detail,
        retryAfterS: retryAfterS ?? 5,
        members: { ...members, retryable: true },
      };
    }
    const base = notSentProblem(reason, detail, retryAfterS);
    return { ...base, members: { ...base.members, ...members } };
  }
  return {
    code: 'order-not-found',
    detail: 'The broker never showed this order; its outcome stays unconfirmed.',
    members,
  };
}

function messageOf(alpaca: Readonly<Record<string, unknown>>): string {
  return typeof alpaca['message'] === 'string' ? alpaca['message'] : 'The broker refused the order.';
}

/** Nothing is known of an earlier request, and nothing was done. */
export function unavailable(detail: string): AccountAnswer {
  return problemAnswer('account-unavailable', detail, { retryAfterS: 1, members: { retryable: true } });
}
