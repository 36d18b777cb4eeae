/** An order that the broker shows after its caller was told that it does not exist: told otherwise from now on (R6). */
import type { AccountDesk } from './account-desk.js';
import { outcomeOf } from './answers.js';
import type { BrokerOrder } from './core/order-match.js';
import { isTerminalOrder } from './core/outcome.js';
import { LiveIntent } from './live-intent.js';

export function noteLateOrder(desk: AccountDesk, clientOrderId: string, order: BrokerOrder): void {
  const { ports, cancelKnown } = desk.shared;
  const told = desk.journal.outcome(clientOrderId);
  if (told === undefined || told.state === 'ACKED' || told.state === 'ACKED_LATE') return;
  const intent = desk.journal.intent(clientOrderId);
  if (intent === undefined) return;
  const live = new LiveIntent(intent);
  live.note({ kind: 'given-up' });
  live.noteOrder(order, 'stream');
  if (live.verdict.state !== 'ACKED') return;
  const { accountId } = desk.session;
  ports.log.error({ accountId, clientOrderId, told: told.state }, 'order appeared after its end was told');
  ports.meter.count('opitios_order_outcomes_total', { state: 'ACKED_LATE' });
  const late = outcomeOf(live.verdict, intent, ports.clock.now());
  desk.journal.recordOutcome(clientOrderId, late).catch((cause: unknown) => {
    ports.log.error({ accountId, clientOrderId, cause }, 'late order not written');
  });
  const isUnwanted = intent.onLate === 'cancel' && !isTerminalOrder(order);
  if (isUnwanted && late.brokerOrderId !== undefined) cancelKnown(desk, live, late.brokerOrderId);
}
