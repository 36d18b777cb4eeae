/**
 * Cancels. Asking twice does no harm, so a lost answer is asked again; what stays open is looked up; and what cannot be
 * proven is told as unknown, never as done and never as `nothing to cancel`.
 */
import type { AccountAnswer } from '../../kernel/domain/account-request.js';
import type { AccountSession, BrokerReply } from '../accounts/account-session.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import { jsonAnswer, keysRefused, locationOfOrder, notSent, problemAnswer } from './answers.js';
import { speaksOfKeys } from './core/classify.js';
import { isRecord, readJson, readOrder, type BrokerOrder } from './core/order-match.js';

const ATTEMPTS = 3;
const RETRY_MS = 250;
const READ_DEADLINE_MS = 5_000;
/** What a cancel wants, or what is on its way to it. */
const CANCELED: ReadonlySet<unknown> = new Set(['canceled', 'pending_cancel']);

export interface CancelPorts {
  readonly session: AccountSession;
  /** The order as the broker shows it now. */
  readonly learned: (order: BrokerOrder) => void;
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly traceparent?: string | undefined;
}

export async function cancelOrder(orderId: string, ports: CancelPorts): Promise<AccountAnswer> {
  const reply = await sendCancel(`/v2/orders/${encodeURIComponent(orderId)}`, ports);
  if (reply.kind === 'not-sent') return notSent(reply.reason, reply.detail);
  if (isThrottled(reply)) return throttled(reply);
  if (reply.kind === 'answered' && reply.status < 300) return done(reply.upstreamMs);
  if (reply.kind === 'answered' && speaksOfKeys(reply.status, readJson(reply.body))) return keysRefused();
  const order = await readBack(orderId, ports);
  if (order !== undefined && CANCELED.has(order['status'])) return done(reply.upstreamMs);
  if (reply.kind === 'answered' && isVerdict(reply.status)) return refused(reply, orderId);
  const { accountId } = ports.session;
  const headers = { location: locationOfOrder(accountId, orderId), 'retry-after': '1' };
  return jsonAnswer(202, { status: 'unknown', account_id: accountId, order_id: orderId }, headers);
}

/** The broker's answer names every order that it was asked to cancel, with a status each. */
export async function cancelAllOrders(ports: CancelPorts): Promise<AccountAnswer> {
  const reply = await sendCancel('/v2/orders', ports);
  if (reply.kind === 'not-sent') return notSent(reply.reason, reply.detail);
  if (isThrottled(reply)) return throttled(reply);
  const { accountId } = ports.session;
  if (reply.kind === 'answered' && reply.status < 300) {
    const headers = { 'content-type': 'application/json; charset=utf-8' };
    return { kind: 'answer', status: reply.status, headers, body: reply.body, upstreamMs: reply.upstreamMs };
  }
  if (reply.kind === 'answered' && speaksOfKeys(reply.status, readJson(reply.body))) return keysRefused();
  if (reply.kind === 'answered' && isVerdict(reply.status)) return refused(reply, undefined);
  const headers = { location: `/api/v1/accounts/${accountId}/orders`, 'retry-after': '1' };
  return jsonAnswer(202, { status: 'unknown', account_id: accountId }, headers);
}

async function sendCancel(path: string, ports: CancelPorts): Promise<BrokerReply> {
  const { session, clock, deadlineMs, traceparent } = ports;
  const endsAt = clock.monotonicMs() + deadlineMs;
  let reached: BrokerReply | undefined;
  for (let attempt = 1; ; attempt += 1) {
    const left = endsAt - clock.monotonicMs();
    const reply = await session.send({
      method: 'DELETE',
      path,
      lane: 'cancel',
      deadlineMs: Math.max(1, left),
      ...(traceparent === undefined ? {} : { traceparent }),
    });
    // `not-sent` and 429 are true of the whole only while no earlier attempt may have been carried out.
    if (reply.kind !== 'not-sent' && !(isThrottled(reply) && reached !== undefined)) reached = reply;
    const settled = reply.kind === 'answered' && (reply.status < 300 || isVerdict(reply.status));
    if (settled || attempt === ATTEMPTS || clock.monotonicMs() + RETRY_MS >= endsAt) return reached ?? reply;
    await clock.sleep(RETRY_MS * attempt);
  }
}

async function readBack(orderId: string, { session, learned }: CancelPorts): Promise<BrokerOrder | undefined> {
  const path = `/v2/orders/${encodeURIComponent(orderId)}`;
  const reply = await session.send({ method: 'GET', path, lane: 'lookup', deadlineMs: READ_DEADLINE_MS });
  if (reply.kind !== 'answered' || reply.status !== 200) return undefined;
  const order = readOrder(reply.body);
  if (order !== undefined) learned(order);
  return order;
}

type Answered = Extract<BrokerReply, { kind: 'answered' }>;

/** Stopped at the broker's edge: not executed (docs/order-protocol.md R8). */
function isThrottled(reply: BrokerReply): reply is Answered & { readonly status: 429 } {
  return reply.kind === 'answered' && reply.status === 429;
}

function throttled({ retryAfterS }: Answered): AccountAnswer {
  return notSent('throttled', 'The broker took no more requests of this account.', retryAfterS);
}

function isVerdict(status: number): boolean {
  return status >= 400 && status < 500 && status !== 408 && status !== 425 && status !== 429;
}

function done(upstreamMs: number): AccountAnswer {
  return { kind: 'answer', status: 204, headers: {}, body: new Uint8Array(), upstreamMs };
}

function refused(reply: Answered, orderId: string | undefined): AccountAnswer {
  const said = readJson(reply.body);
  const alpaca = { status: reply.status, ...(isRecord(said) ? said : {}) };
  const detail =
    isRecord(said) && typeof said['message'] === 'string' ? said['message'] : 'The broker refused the cancel.';
  if (reply.status === 404 && orderId !== undefined) return problemAnswer('order-not-found', detail, { alpaca });
  return problemAnswer('venue-rejected', detail, { status: reply.status, alpaca });
}
