/** Which order of the broker's a request speaks of: by its own id, or by the client order id, also while it is unknown. */
import type { AccountAnswer, OrderTarget } from '../../kernel/domain/account-request.js';
import type { AccountDesk } from './account-desk.js';
import { keysRefused, notSent, problemAnswer } from './answers.js';
import { speaksOfKeys } from './core/classify.js';
import { isRecord, readJson, readOrder, type BrokerOrder } from './core/order-match.js';
import type { LiveIntent } from './live-intent.js';

export type Found<T> =
  { readonly kind: 'found'; readonly value: T } | { readonly kind: 'refused'; readonly answer: AccountAnswer };

const READ_DEADLINE_MS = 5_000;

/** The intent of this client order id, while it has no outcome. */
export function liveOf(desk: AccountDesk, target: OrderTarget): LiveIntent | undefined {
  return 'clientOrderId' in target ? desk.known.get(target.clientOrderId) : undefined;
}

/** The broker's id of the order. The broker is asked where only it can say. */
export async function brokerOrderIdOf(desk: AccountDesk, target: OrderTarget): Promise<Found<string>> {
  if ('orderId' in target) return { kind: 'found', value: target.orderId };
  const { clientOrderId } = target;
  const own = desk.journal.outcome(clientOrderId)?.brokerOrderId;
  const mirrored = desk.session.mirror.orderByClientOrderId(clientOrderId)?.['id'];
  const known = own ?? (typeof mirrored === 'string' ? mirrored : undefined);
  if (known !== undefined) return { kind: 'found', value: known };
  const path = `/v2/orders:by_client_order_id?client_order_id=${encodeURIComponent(clientOrderId)}`;
  const read = await readFrom(desk, path);
  return read.kind === 'refused' ? read : { kind: 'found', value: String(read.value['id']) };
}

/** The order as the broker shows it now. */
export function readOrderNow(desk: AccountDesk, orderId: string): Promise<Found<BrokerOrder>> {
  return readFrom(desk, `/v2/orders/${encodeURIComponent(orderId)}`);
}

async function readFrom(desk: AccountDesk, path: string): Promise<Found<BrokerOrder>> {
  const reply = await desk.session.send({ method: 'GET', path, lane: 'lookup', deadlineMs: READ_DEADLINE_MS });
  const order = reply.kind === 'answered' && reply.status === 200 ? readOrder(reply.body) : undefined;
  if (order !== undefined) return { kind: 'found', value: order };
  const said = reply.kind === 'answered' ? readJson(reply.body) : undefined;
  if (reply.kind === 'answered' && reply.status === 404 && isRecord(said)) {
    const alpaca = { status: reply.status, ...said };
    return { kind: 'refused', answer: problemAnswer('order-not-found', 'The broker knows no such order.', { alpaca }) };
  }
  if (reply.kind === 'answered' && speaksOfKeys(reply.status, said)) return { kind: 'refused', answer: keysRefused() };
  return { kind: 'refused', answer: notSent('order', 'The order could not be read from the broker.') };
}
