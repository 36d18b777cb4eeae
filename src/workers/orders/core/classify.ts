/**
 * What one attempt proved: the table of docs/order-protocol.md#what-one-attempt-proves over the session's replies and
 * the broker's statuses.
 */
import type { BrokerReply } from '../../accounts/account-session.js';
import type { AttemptResult } from './evidence.js';
import { isRecord, matchesIntent, readJson, readOrder, type BrokerOrder, type Wanted } from './order-match.js';

/** In a complete, readable answer these say that this attempt did nothing. 408, 425 and 429 are not among them. */
const REFUSALS: ReadonlySet<number> = new Set([400, 403, 404, 405, 406, 410, 413, 415, 422]);

export function classifyReply(reply: BrokerReply, intent: Wanted): AttemptResult {
  switch (reply.kind) {
    case 'not-sent': {
      const { reason, detail, retryAfterS } = reply;
      return { kind: 'not-sent', reason, detail, ...(retryAfterS === undefined ? {} : { retryAfterS }) };
    }
    case 'ambiguous':
      return { kind: 'ambiguous', detail: reply.detail };
    case 'answered':
      return classifyAnswer(reply, intent);
  }
}

function classifyAnswer(reply: Extract<BrokerReply, { kind: 'answered' }>, intent: Wanted): AttemptResult {
  const { status, body, retryAfterS } = reply;
  if (status === 429) return { kind: 'throttled', ...(retryAfterS === undefined ? {} : { retryAfterS }) };
  if (status === 200 || status === 201) {
    const order = readOrder(body);
    // Another order's answer proves nothing about ours.
    if (order === undefined || !matchesIntent(intent, order)) {
      return { kind: 'ambiguous', detail: 'the answer does not describe the order that was sent' };
    }
    return { kind: 'accepted', order, body: new TextDecoder().decode(body) };
  }
  const said = readJson(body);
  if (speaksOfKeys(status, said)) {
    return { kind: 'not-sent', reason: 'credentials', detail: 'The broker refuses the keys of this account.' };
  }
  if (!REFUSALS.has(status) || !isRecord(said)) {
    return { kind: 'ambiguous', detail: `the broker answered ${status} without a verdict` };
  }
  if (isDuplicateId(status, said)) return { kind: 'duplicate-id', status, alpaca: { status, ...said } };
  return { kind: 'refused', status, alpaca: { status, ...said } };
}

/** Not about the order: every 401, and a JSON 403 without the broker's `code`. A 403 of something in between is a page. */
export function speaksOfKeys(status: number, said: unknown): boolean {
  return status === 401 || (status === 403 && isRecord(said) && said['code'] === undefined);
}

/** The pair of status and code has other uses, so the field's name must appear too; its wording may change. */
export function isDuplicateId(status: number, said: BrokerOrder): boolean {
  return status === 422 && typeof said['message'] === 'string' && /client_order_id/i.test(said['message']);
}
