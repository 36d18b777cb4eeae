/** Order events and their kin as clients read them (docs/api.md#stream). The broker's values keep their bytes. */
import type { SessionState } from '../../kernel/domain/account-request.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { OrderEvent } from '../../kernel/domain/order-event.js';
import { rawMembers } from '../../kernel/runtime/raw-json.js';

/** Names that are ours; a member of the broker's with one of them would be ambiguous and is left out. */
const OURS = new Set(['type', 'account_id', 'epoch', 'seq', 'event', 'timestamp', 'reconciled']);

export function orderText(event: OrderEvent): string {
  const ours = JSON.stringify({
    type: 'order',
    account_id: event.accountId,
    epoch: event.epoch,
    seq: event.seq,
    event: event.event,
    timestamp: event.timestamp,
  }).slice(0, -1);
  // `order`, and for a fill the execution: its id, price, quantity and the position after it.
  const brokers = rawMembers(event.data)
    .filter(([key]) => !OURS.has(key))
    .map(([key, value]) => `,${JSON.stringify(key)}:${value}`)
    .join('');
  return `${ours}${brokers}${event.reconciled ? ',"reconciled":true' : ''}}`;
}

export function gapText(accountId: AccountId, gap: { epoch: number; from: number; to: number }): string {
  return JSON.stringify({ type: 'gap', account_id: accountId, epoch: gap.epoch, from: gap.from, to: gap.to });
}

export function statusText(accountId: AccountId, state: SessionState): string {
  return JSON.stringify({ type: 'status', account_id: accountId, state });
}
