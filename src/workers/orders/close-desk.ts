/** Closing a position of one account: only from a position that is proven, and never beside an unknown outcome. */
import type { AccountAnswer, AccountRequest, CallContext } from '../../kernel/domain/account-request.js';
import type { AccountDesk } from './account-desk.js';
import { notSent, problemAnswer } from './answers.js';
import { closingOrder } from './close-position.js';
import { isRecord, readJson, type BrokerOrder } from './core/order-match.js';
import { planFingerprint, type IntentPlan } from './intent-plan.js';
import { CLOSE_ROUTE as ROUTE } from './order-id.js';

type CloseRequest = Extract<AccountRequest, { readonly kind: 'close-position' }>;

const POSITION_DEADLINE_MS = 5_000;

/** @throws GatewayError JOURNAL_BROKEN */
export async function closePosition(
  desk: AccountDesk,
  request: CloseRequest,
  context: CallContext,
): Promise<AccountAnswer> {
  const { symbol, qty, percentage, idempotencyKey, sentBefore, dryRun } = request;
  const part = { ...(qty === undefined ? {} : { qty }), ...(percentage === undefined ? {} : { percentage }) };
  const plan: IntentPlan = {
    kind: 'close',
    route: ROUTE,
    path: '/v2/orders',
    body: {},
    fingerprint: planFingerprint('close', ROUTE, { symbol, ...part }),
    idempotencyKey,
    ...(sentBefore !== undefined && { sentBefore }),
    dryRun,
  };
  const replayed = idempotencyKey === undefined ? undefined : desk.replay(plan, context);
  if (replayed !== undefined) return replayed;
  const position = await positionOf(desk, symbol);
  if (position.kind === 'refused') return position.answer;
  const lockDelayMs = desk.shared.ports.fence.lockDelayMs?.(desk.session.accountId) ?? 0;
  if (lockDelayMs > 0) {
    const detail = 'The account has just been taken over: an order of its last owner may still arrive.';
    return problemAnswer('outcome-unknown-open', detail, { retryAfterS: Math.ceil(lockDelayMs / 1_000) });
  }
  const closing = closingOrder(position.position, part);
  if (closing.kind === 'refused') {
    const { field, detail } = closing;
    return problemAnswer('validation-failed', detail, { errors: [{ field, in: 'query', detail }] });
  }
  // Asked after the last await: an order that began meanwhile would change the position under this one.
  if (isUncertain(desk, symbol)) {
    const detail = 'An order of this account has no outcome yet, so the position is not certain.';
    return problemAnswer('outcome-unknown-open', detail, { retryAfterS: 1 });
  }
  return desk.place({ ...plan, body: closing.body }, context);
}

/** Any unknown outcome of the account, or an order under way in the same symbol. */
function isUncertain(desk: AccountDesk, symbol: string): boolean {
  return desk.known.all().some((live) => live.isOpenUnknown || live.body['symbol'] === symbol);
}

type Position =
  | { readonly kind: 'position'; readonly position: BrokerOrder }
  | { readonly kind: 'refused'; readonly answer: AccountAnswer };

async function positionOf(desk: AccountDesk, symbol: string): Promise<Position> {
  const { session } = desk;
  const mirrored = session.mirror.inSync ? session.mirror.position(symbol) : undefined;
  if (mirrored !== undefined) return { kind: 'position', position: mirrored };
  const path = `/v2/positions/${encodeURIComponent(symbol)}`;
  const reply = await session.send({ method: 'GET', path, lane: 'lookup', deadlineMs: POSITION_DEADLINE_MS });
  const said = reply.kind === 'answered' ? readJson(reply.body) : undefined;
  if (reply.kind === 'answered' && isRecord(said)) {
    if (reply.status === 200) return { kind: 'position', position: said };
    if (reply.status === 404) {
      const alpaca = { status: reply.status, ...said };
      const detail = 'The account has no position in this symbol.';
      return { kind: 'refused', answer: problemAnswer('not-found', detail, { alpaca }) };
    }
  }
  return { kind: 'refused', answer: notSent('position', 'The position could not be read from the broker.') };
}
