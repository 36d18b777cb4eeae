/**
 * Closing positions of one account: from a position read at that moment, less what open orders hold, one close of an
 * instrument at a time.
 */
import type { AccountAnswer, AccountRequest, CallContext } from '../../kernel/domain/account-request.js';
import { problemStatus } from '../../kernel/domain/problem.js';
import type { AccountDesk, ComputedOrder } from './account-desk.js';
import { jsonAnswer, keysRefused, locationOfOrder, locationOfUnknown, notSent, problemAnswer } from './answers.js';
import { cancelAll } from './cancel-desk.js';
import { closingOrder, type Part } from './close-position.js';
import { speaksOfKeys } from './core/classify.js';
import { compareDecimals, readDecimal, ZERO } from '../../kernel/domain/decimal.js';
import { isRecord, readJson, type BrokerOrder } from './core/order-match.js';
import { isTerminalOrder } from './core/outcome.js';
import type { Instrument } from '../../kernel/domain/instrument.js';
import { planFingerprint, type IntentPlan } from './intent-plan.js';
import { CLOSE_ROUTE } from './order-id.js';
import { readOrderNow, type Found } from './order-target.js';

type CloseRequest = Extract<AccountRequest, { readonly kind: 'close-position' }>;
type CloseAllRequest = Extract<AccountRequest, { readonly kind: 'close-all-positions' }>;

const POSITION_DEADLINE_MS = 5_000;
const READ_AGAIN_MS = 300;
const CANCELS_END_MS = 5_000;
const LOOK_FOR_ENDS_MS = 50;

/** @throws GatewayError JOURNAL_BROKEN */
export async function closePosition(
  desk: AccountDesk,
  request: CloseRequest,
  context: CallContext,
): Promise<AccountAnswer> {
  const { symbol, qty, percentage, idempotencyKey, sentBefore, dryRun } = request;
  const part = { ...(qty === undefined ? {} : { qty }), ...(percentage === undefined ? {} : { percentage }) };
  const resolved = await desk.shared.instruments.resolve(symbol, desk.session);
  if (resolved.kind === 'unavailable')
    return notSent('instrument', 'The broker could not say which instrument the path names.');
  if (resolved.kind === 'unknown') return noPosition();
  const { instrument } = resolved;
  const plan: IntentPlan = {
    kind: 'close',
    route: CLOSE_ROUTE,
    path: '/v2/orders',
    body: {},
    fingerprint: planFingerprint('close', CLOSE_ROUTE, { instrument: instrument.key, ...part }),
    idempotencyKey,
    ...(sentBefore !== undefined && { sentBefore }),
    dryRun,
  };
  const replayed = idempotencyKey === undefined ? undefined : desk.replay(plan, context);
  if (replayed !== undefined) return replayed;
  const lockDelayMs = desk.shared.ports.fence.lockDelayMs?.(desk.session.accountId) ?? 0;
  if (lockDelayMs > 0) return takenOver(lockDelayMs);
  if (!desk.closings.begin(instrument.key)) return inProgress(desk, { state: 'reading the position' });
  try {
    return await closeInstrument(desk, { instrument, part, plan }, context);
  } finally {
    desk.closings.end(instrument.key);
  }
}

/** One item a position, each what closing it alone would have been answered. */
export async function closeAllPositions(
  desk: AccountDesk,
  request: CloseAllRequest,
  context: CallContext,
): Promise<AccountAnswer> {
  const { accountId, cancelOrders, idempotencyKey, sentBefore, dryRun } = request;
  if (cancelOrders && !dryRun) {
    const canceled = await cancelAll(desk, { dryRun }, context);
    if (canceled.kind === 'problem') return canceled;
    await workingOrdersEnd(desk);
  }
  const read = await readFrom(desk, '/v2/positions');
  if (read.kind === 'refused') return read.answer;
  if (!Array.isArray(read.value)) return unreadable();
  const positions = read.value.filter(isRecord).map((position) => String(position['symbol']));
  const items = await Promise.all(
    positions.map(async (symbol) => {
      const key = idempotencyKey === undefined ? {} : { idempotencyKey: `${idempotencyKey}/${symbol}` };
      const one = { accountId, symbol, dryRun, ...key, ...(sentBefore !== undefined && { sentBefore }) };
      return itemOf(symbol, await closePosition(desk, { kind: 'close-position', ...one }, context));
    }),
  );
  return jsonAnswer(207, items);
}

interface Closing {
  readonly instrument: Instrument;
  readonly part: Part;
  readonly plan: IntentPlan;
}

async function closeInstrument(
  desk: AccountDesk,
  { instrument, part, plan }: Closing,
  context: CallContext,
): Promise<AccountAnswer> {
  const working = await workingClose(desk, instrument);
  if (working !== undefined) return working;
  const read = await settledPosition(desk, instrument);
  if (read.kind === 'refused') return read.answer;
  const lastFill = desk.closings.recentFill(instrument.key);
  const compute = (): ComputedOrder => {
    const fill = desk.closings.recentFill(instrument.key);
    return fill === undefined || fill.at === lastFill?.at
      ? orderFor(desk, { instrument, part, position: read.value })
      : moved();
  };
  const computed = compute();
  if (computed.kind === 'refused') return computed.answer;
  return desk.place({ ...plan, body: computed.body }, context, { compute });
}

/** What is free of the position at this moment. Called again when nothing else can come between it and the order. */
function orderFor(
  desk: AccountDesk,
  { instrument, part, position }: Omit<Closing, 'plan'> & { readonly position: BrokerOrder },
): ComputedOrder {
  const side = compareDecimals(readDecimal(position['qty']) ?? ZERO, ZERO) < 0 ? 'buy' : 'sell';
  const closing = closingOrder(position, { instrument, part, reserved: desk.exposure().reserved(instrument, side) });
  if (closing.kind === 'order') return closing;
  if (closing.kind === 'refused') {
    const { field, detail } = closing;
    return {
      kind: 'refused',
      answer: problemAnswer('validation-failed', detail, { errors: [{ field, in: 'query', detail }] }),
    };
  }
  const { qty, available } = closing;
  const detail = `Open orders hold the position: ${available} of ${qty} are free.`;
  const members = { symbol: instrument.symbol, qty, available };
  return { kind: 'refused', answer: problemAnswer('position-held', detail, { members }) };
}

/** A close of the instrument that works, is unknown, or whose end is not proven. */
async function workingClose(desk: AccountDesk, instrument: Instrument): Promise<AccountAnswer | undefined> {
  const { accountId, mirror } = desk.session;
  const isSame = (name: unknown): boolean =>
    typeof name === 'string' && desk.shared.instruments.known(name)?.key === instrument.key;
  const live = desk.known.all().find(({ intent, body }) => intent.kind === 'close' && isSame(body['symbol']));
  if (live !== undefined) {
    const { clientOrderId } = live;
    return inProgress(desk, {
      client_order_id: clientOrderId,
      state: 'unknown',
      free_with: `DELETE ${locationOfUnknown(accountId, clientOrderId)}`,
    });
  }
  const inherited = desk.closings.inherited(instrument.key);
  if (inherited !== undefined && mirror.orderByClientOrderId(inherited) === undefined) {
    const free = `DELETE ${locationOfUnknown(accountId, inherited)}`;
    return inProgress(desk, { client_order_id: inherited, state: 'not shown yet', free_with: free });
  }
  const open = mirror.inSync ? { kind: 'found' as const, value: mirror.openOrders() } : await openOrdersNow(desk);
  if (open.kind === 'refused') return open.answer;
  const order = open.value.find(
    ({ client_order_id: id, symbol }) =>
      isSame(symbol) && typeof id === 'string' && desk.journal.intent(id)?.kind === 'close',
  );
  if (order === undefined) return undefined;
  const orderId = String(order['id']);
  // Its event may be lost: a close that has ended does not stand in the way.
  const now = await readOrderNow(desk, orderId);
  if (now.kind === 'found' && isTerminalOrder(now.value)) {
    desk.learned(now.value);
    return undefined;
  }
  return inProgress(desk, {
    order_id: orderId,
    client_order_id: order['client_order_id'],
    state: order['status'],
    free_with: `DELETE ${locationOfOrder(accountId, orderId)}`,
  });
}

/** While the mirror cannot be trusted. */
async function openOrdersNow(desk: AccountDesk): Promise<Found<readonly BrokerOrder[]>> {
  const read = await readFrom(desk, '/v2/orders?status=open&limit=500&nested=false');
  if (read.kind === 'refused') return read;
  return Array.isArray(read.value)
    ? { kind: 'found', value: read.value.filter(isRecord) }
    : { kind: 'refused', answer: unreadable() };
}

/** The position as it is read now; again, while a fill of a moment ago may not be in it yet. */
async function settledPosition(desk: AccountDesk, instrument: Instrument): Promise<Found<BrokerOrder>> {
  const { clock } = desk.shared.ports;
  const name = instrument.symbol.replace('/', '');
  for (;;) {
    const read = await readFrom(desk, `/v2/positions/${encodeURIComponent(name)}`);
    const fill = desk.closings.recentFill(instrument.key);
    const qty = read.kind === 'found' && isRecord(read.value) ? readDecimal(read.value['qty']) : ZERO;
    const isSettled =
      fill === undefined ||
      (fill.positionQty !== undefined && qty !== undefined && compareDecimals(fill.positionQty, qty) === 0);
    if (isSettled || desk.stopped.aborted) {
      if (read.kind === 'refused') return read;
      return isRecord(read.value) ? { kind: 'found', value: read.value } : { kind: 'refused', answer: unreadable() };
    }
    await clock.sleep(READ_AGAIN_MS, desk.stopped);
  }
}

async function readFrom(desk: AccountDesk, path: string): Promise<Found<unknown>> {
  const reply = await desk.session.send({ method: 'GET', path, lane: 'lookup', deadlineMs: POSITION_DEADLINE_MS });
  const said = reply.kind === 'answered' ? readJson(reply.body) : undefined;
  if (reply.kind === 'answered' && reply.status === 200 && said !== undefined) return { kind: 'found', value: said };
  if (reply.kind === 'answered' && reply.status === 404 && isRecord(said)) {
    return { kind: 'refused', answer: noPosition({ status: reply.status, ...said }) };
  }
  if (reply.kind === 'answered' && speaksOfKeys(reply.status, said)) return { kind: 'refused', answer: keysRefused() };
  return { kind: 'refused', answer: unreadable() };
}

async function workingOrdersEnd(desk: AccountDesk): Promise<void> {
  const { clock } = desk.shared.ports;
  const endsAt = clock.monotonicMs() + CANCELS_END_MS;
  while (desk.session.mirror.openOrders().length > 0 && clock.monotonicMs() < endsAt && !desk.stopped.aborted)
    await clock.sleep(LOOK_FOR_ENDS_MS, desk.stopped);
}

function itemOf(symbol: string, answer: AccountAnswer): object {
  if (answer.kind === 'answer') return { symbol, status: answer.status, body: readJson(answer.body) ?? null };
  const { code, detail, members } = answer.problem;
  return { symbol, status: problemStatus(answer.problem), body: { code, detail, ...members } };
}

function inProgress(desk: AccountDesk, members: Readonly<Record<string, unknown>>): AccountAnswer {
  desk.shared.ports.meter.count('opitios_orders_refused_total', { by: 'close' });
  const detail =
    'A close of this position is under way. A market day order that is sent while the market is closed rests until it opens; cancel it to free the position.';
  return problemAnswer('close-in-progress', detail, { retryAfterS: 1, members });
}

function takenOver(lockDelayMs: number): AccountAnswer {
  const detail = 'The account has just been taken over: an order of its last owner may still arrive.';
  return problemAnswer('outcome-unknown-open', detail, { retryAfterS: Math.ceil(lockDelayMs / 1_000) });
}

/** What was read is not what there is, and what the fill left is not known here. */
function moved(): ComputedOrder {
  return { kind: 'refused', answer: notSent('position', 'An order of the position was filled while it was read.') };
}

function noPosition(alpaca?: Readonly<Record<string, unknown>>): AccountAnswer {
  return problemAnswer(
    'not-found',
    'The account has no position in this symbol.',
    alpaca === undefined ? {} : { alpaca },
  );
}

function unreadable(): AccountAnswer {
  return notSent('position', 'The position could not be read from the broker.');
}
