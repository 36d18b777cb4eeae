/**
 * An order that the broker shows after its caller was told that it does not exist: told otherwise from now on
 * (docs/order-protocol.md R6).
 */
import type { AccountJournal } from '../../kernel/journal/account-journal.js';
import { outcomeOf } from './answers.js';
import type { BrokerOrder } from './core/order-match.js';
import { isTerminalOrder } from './core/outcome.js';
import { LiveIntent } from './live-intent.js';
import type { DeskPorts } from './ports.js';

/** Present: the intent's policy asks for the order's cancel. */
export interface UnwantedOrder {
  readonly live: LiveIntent;
  readonly brokerOrderId: string;
}

export function noteLateOrder(
  journal: AccountJournal,
  ports: DeskPorts,
  order: BrokerOrder,
): UnwantedOrder | undefined {
  const clientOrderId = order['client_order_id'];
  if (typeof clientOrderId !== 'string') return undefined;
  const told = journal.outcome(clientOrderId);
  if (told === undefined || told.state === 'ACKED' || told.state === 'ACKED_LATE') return undefined;
  const intent = journal.intent(clientOrderId);
  if (intent === undefined) return undefined;
  const live = new LiveIntent(intent, ports.clock);
  live.note({ kind: 'given-up' });
  live.noteOrder(order, 'stream');
  if (live.verdict.state !== 'ACKED') return undefined;
  const { accountId } = journal;
  ports.log.error({ accountId, clientOrderId, told: told.state }, 'order appeared after its end was told');
  ports.meter.count('opitios_order_outcomes_total', { state: 'ACKED_LATE' });
  const late = outcomeOf(live.verdict, intent, ports.clock.now());
  journal.recordOutcome(clientOrderId, late).catch((cause: unknown) => {
    ports.log.error({ accountId, clientOrderId, cause }, 'late order not written');
  });
  const isUnwanted = intent.onLate === 'cancel' && !isTerminalOrder(order);
  return isUnwanted && late.brokerOrderId !== undefined ? { live, brokerOrderId: late.brokerOrderId } : undefined;
}
