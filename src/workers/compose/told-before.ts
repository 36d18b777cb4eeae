/** What the journal's ring says was told of an account already, so that gap repair tells the rest and nothing twice. */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { OrderEvent } from '../../kernel/domain/order-event.js';
import type { ToldBefore } from '../accounts/gap-repair.js';
import type { BrokerObject } from '../accounts/mirrored.js';
import type { OrderFill } from '../accounts/published-fills.js';
import { fillsOf, isFill } from '../accounts/trade-updates.js';
import type { OrderDesk } from '../orders/order-desk.js';

interface UpdateData extends BrokerObject {
  readonly order?: BrokerObject;
}

/** Words after which an order does not work any more. */
const ENDS = new Set(['fill', 'canceled', 'expired', 'replaced', 'rejected', 'gone']);

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
  const fills: OrderFill[] = [];
  const lastEvents = new Map<string, string>();
  let lastEventAt = heardSince === undefined ? undefined : new Date(heardSince).toISOString();
  const { events } = desk.eventsAfter(accountId, { epoch: 0, seq: 0 });
  const all = [...elsewhere, ...events].sort((a, b) => a.epoch - b.epoch || a.seq - b.seq);
  for (const { event, timestamp, data } of all) {
    lastEventAt = timestamp;
    const read = readData(data);
    const { order } = read;
    if (isFill(event) && order !== undefined) fills.push(...fillsOf(read, order, timestamp));
    if (typeof order?.['id'] === 'string') lastEvents.set(order['id'], event);
  }
  return {
    ...(lastEventAt !== undefined && { lastEventAt }),
    fills,
    working: [...lastEvents].filter(([, word]) => !ENDS.has(word)).map(([id]) => id),
    ...(all[0] !== undefined && { keptSince: all[0].timestamp }),
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
