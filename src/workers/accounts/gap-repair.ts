/**
 * Finds what happened while the stream was not heard. Reads the open orders, all orders since shortly before the gap,
 * those that were open and are in neither list, and the fills since; what follows from them and has not passed yet is
 * told as updates marked `reconciled`. Pure reading: applying and telling is the session's business.
 */
import { readDecimal, ZERO } from '../../kernel/domain/decimal.js';
import type { BrokerReader } from './broker-reader.js';
import { isTerminal, textOf, type Mirrored } from './mirrored.js';
import type { OrderBook } from './order-book.js';
import { changeKey, type SeenUpdates } from './seen-updates.js';
import type { OrderFill, PublishedFills } from './published-fills.js';
import { fillOfActivity, updateOfFill, updateOfStatus, type HeardUpdate } from './trade-updates.js';

/** What was told before this session began, by the worker that had the account until then. */
export interface ToldBefore {
  /** Broker time of the last event told; undefined when none ever was: then the past is not told either. */
  readonly lastEventAt?: string;
  /** Fills that were published. */
  readonly fills: readonly OrderFill[];
  /** Orders that worked when the last event of them was published, as it showed them. */
  readonly working: readonly Mirrored[];
  /** Since when every event was kept, RFC 3339; undefined when none ever was. */
  readonly keptSince?: string;
  /** The last event word told of an order. */
  lastEventOf(orderId: string): string | undefined;
}

export const NOTHING_TOLD: ToldBefore = { fills: [], working: [], lastEventOf: () => undefined };

export interface GapFindings {
  readonly orders: readonly Mirrored[];
  /**
   * In the order in which they should be published.
   * @param waiting updates of the stream that come after them: what they bring is not found
   */
  readonly updates: (waiting: readonly HeardUpdate[]) => readonly HeardUpdate[];
}

export interface Gap {
  /** RFC 3339: the last moment that is surely known; undefined to read what is open and tell nothing. */
  readonly since?: string;
  readonly book: OrderBook;
  readonly seen: SeenUpdates;
  readonly published: PublishedFills;
  readonly told: ToldBefore;
  /** Orders whose end is known here from an answer, while no update has told of it. */
  readonly endedUntold: ReadonlySet<string>;
}

/** The broker's and our clock may differ, and an order is listed by when it was submitted. */
const OVERLAP_MS = 60_000;

/** undefined when the broker did not answer everything: nothing may be concluded from a part. */
export async function findGap(reader: BrokerReader, gap: Gap): Promise<GapFindings | undefined> {
  const open = await reader.orders('open');
  if (open === undefined) return undefined;
  if (gap.since === undefined) return { orders: open, updates: () => [] };
  const from = new Date(Date.parse(gap.since) - OVERLAP_MS).toISOString();
  const recent = await reader.orders('all', from);
  const fills = await reader.fills(from);
  if (recent === undefined || fills === undefined) return undefined;
  const found = new Map([...open, ...recent].map((order) => [textOf(order.value, 'id'), order]));
  const missing = [
    ...gap.book.working().map(({ value }) => textOf(value, 'id')),
    ...gap.endedUntold,
    ...fills.map(({ value }) => textOf(value, 'order_id')),
  ].filter((id) => !found.has(id));
  for (const id of new Set(missing)) {
    const reply = await reader.get(`/v2/orders/${encodeURIComponent(id)}`);
    // An order that the broker does not know is a finding: the order watch asks again, since reads lag.
    if (reply?.status === 404) continue;
    const order = reply?.status === 200 ? reader.objectOf(reply) : undefined;
    if (order === undefined) return undefined;
    found.set(id, order);
  }
  return {
    orders: [...found.values()],
    updates: (waiting) => [...missedFills(fills, found, { gap, waiting }), ...missedChanges(found, gap)],
  };
}

function missedFills(
  activities: readonly Mirrored[],
  orders: ReadonlyMap<string, Mirrored>,
  { gap, waiting }: { readonly gap: Gap; readonly waiting: readonly HeardUpdate[] },
): readonly HeardUpdate[] {
  const published = gap.published.with(
    waiting.flatMap(({ fills }) => fills).filter((fill) => !gap.published.knows(fill)),
  );
  const byOrder = new Map<string, OrderFill[]>();
  for (const { value } of activities) {
    const fill = fillOfActivity(value);
    byOrder.set(fill.orderId, [...(byOrder.get(fill.orderId) ?? []), fill]);
  }
  return [...byOrder].flatMap(([orderId, fills]) => {
    const order = orders.get(orderId);
    if (order === undefined) return [];
    const filled = readDecimal(textOf(order.value, 'filled_qty')) ?? ZERO;
    return published.missing(orderId, fills, filled).map((fill) => updateOfFill(fill, order));
  });
}

function missedChanges(orders: ReadonlyMap<string, Mirrored>, gap: Gap): readonly HeardUpdate[] {
  return [...orders.values()].filter((order) => isMissedChange(order, gap)).map(updateOfStatus);
}

function isMissedChange(order: Mirrored, { book, seen, told, endedUntold, since = '' }: Gap): boolean {
  const [id, status] = [textOf(order.value, 'id'), textOf(order.value, 'status')];
  // Fills tell of these.
  if (status === 'filled' || status === 'partially_filled') return false;
  if (seen.has(changeKey(id, status, 'told')) || told.lastEventOf(id) === status) return false;
  if (endedUntold.has(id)) return true;
  const known = book.get(id);
  if (known !== undefined) return textOf(known.value, 'status') !== status;
  if (told.lastEventOf(id) !== undefined) return isTerminal(status) || status === 'new';
  // Never heard of: it is news only when it came during the gap.
  return Date.parse(textOf(order.value, 'submitted_at')) >= Date.parse(since) - OVERLAP_MS / 12;
}
