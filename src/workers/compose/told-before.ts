/** What the journal's ring says was told of an account already, so that gap repair tells the rest and nothing twice. */
import type { AccountId } from '../../kernel/domain/identifiers.js';
import { rawMembers } from '../../kernel/runtime/raw-json.js';
import type { OrderEvent } from '../../kernel/domain/order-event.js';
import type { ToldBefore } from '../accounts/gap-repair.js';
import { mirroredOf, type BrokerObject, type Mirrored } from '../accounts/mirrored.js';
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
  const lastSeen = new Map<string, string>();
  let lastEventAt = heardSince === undefined ? undefined : new Date(heardSince).toISOString();
  const { events } = desk.eventsAfter(accountId, { epoch: 0, seq: 0 });
  const all = [...elsewhere, ...events].sort((a, b) => a.epoch - b.epoch || a.seq - b.seq);
  for (const { event, timestamp, data } of all) {
    lastEventAt = timestamp;
    const read = readData(data);
    const { order } = read;
    if (isFill(event) && order !== undefined) fills.push(...fillsOf(read, order, timestamp));
    if (typeof order?.['id'] !== 'string') continue;
    lastEvents.set(order['id'], event);
    lastSeen.set(order['id'], data);
  }
  return {
    ...(lastEventAt !== undefined && { lastEventAt }),
    fills,
    working: [...lastEvents].filter(([, word]) => !ENDS.has(word)).flatMap(([id]) => orderIn(lastSeen.get(id) ?? '')),
    ...(all[0] !== undefined && { keptSince: all[0].timestamp }),
    lastEventOf: (orderId) => lastEvents.get(orderId),
  };
}

/** As the event has it, byte for byte. */
function orderIn(data: string): readonly Mirrored[] {
  const text = rawMembers(data).find(([name]) => name === 'order')?.[1];
  const order = text === undefined ? undefined : mirroredOf(text);
  return order === undefined ? [] : [order];
}

function readData(data: string): UpdateData {
  try {
    return JSON.parse(data) as UpdateData;
  } catch {
    return {};
  }
}
