/** What the journal's ring says was told of an account already, so that gap repair tells the rest and nothing twice. */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { OrderEvent } from '../../kernel/domain/order-event.js';
import type { ToldBefore } from '../accounts/gap-repair.js';
import type { OrderDesk } from '../orders/order-desk.js';

interface UpdateData {
  readonly execution_id?: unknown;
  readonly order?: { readonly id?: unknown };
}

/** What other instances told of an account before it came here. */
export interface ToldElsewhere {
  readonly events: readonly OrderEvent[];
  /** Since when somebody listened, wall milliseconds: an account without any event may have missed its first one. */
  readonly heardSince?: number;
}

export function toldBefore(
  desk: OrderDesk,
  accountId: AccountId,
  { events: elsewhere, heardSince }: ToldElsewhere = { events: [] },
): ToldBefore {
  const executions = new Set<string>();
  const lastEvents = new Map<string, string>();
  let lastEventAt = heardSince === undefined ? undefined : new Date(heardSince).toISOString();
  const { events } = desk.eventsAfter(accountId, { epoch: 0, seq: 0 });
  const all = [...elsewhere, ...events].sort((a, b) => a.epoch - b.epoch || a.seq - b.seq);
  for (const { event, timestamp, data } of all) {
    lastEventAt = timestamp;
    const { execution_id: executionId, order } = readData(data);
    if (typeof executionId === 'string') executions.add(executionId);
    if (typeof order?.id === 'string') lastEvents.set(order.id, event);
  }
  return {
    ...(lastEventAt !== undefined && { lastEventAt }),
    knowsExecution: (executionId) => executions.has(executionId),
    lastEventOf: (orderId) => lastEvents.get(orderId),
  };
}

function readData(data: string): UpdateData {
  try {
    return JSON.parse(data) as UpdateData;
  } catch {
    return {};
  }
}
