/**
 * Proves that what is known of an account's orders is what the broker has, while the stream is up: an order whose event does
 * not come is read, working orders are compared with the broker's list, and fills that an order shows and no execution
 * explains are looked for among the activities, which lag, until the sum is right. Runs only while there is something to watch.
 */
import { compareDecimals, printDecimal, readDecimal, subtractDecimals, ZERO } from '../../kernel/domain/decimal.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { BrokerReader } from './broker-reader.js';
import { isTerminal, textOf, type Mirrored } from './mirrored.js';
import type { OrderBook } from './order-book.js';
import type { OrderFill, PublishedFills } from './published-fills.js';
import { fillOfActivity, updateOfFill, updateOfGone, updateOfStatus, type HeardUpdate } from './trade-updates.js';

export interface OrderWatchParts {
  readonly reader: BrokerReader;
  readonly clock: Clock;
  readonly book: OrderBook;
  readonly published: PublishedFills;
  /** False while a gap is repaired: that repair finds more. */
  readonly isInSync: () => boolean;
  /** Whether every fill of the order since its submission can be known here. */
  readonly isTracked: (order: Mirrored) => boolean;
  /** Whether this end of an order has been published. */
  readonly isPublished: (order: Mirrored) => boolean;
  readonly pass: (update: HeardUpdate) => void;
  /** Wall milliseconds by the broker's clock. */
  readonly brokerNow: () => number;
  readonly stop: AbortSignal;
  readonly corrected: (kind: 'order' | 'fill' | 'gone', facts: Readonly<Record<string, unknown>>) => void;
}

const TICK_MS = 1_000;
/** An event follows its answer within milliseconds, and its order's last change within this time, or it is lost. */
const EVENT_LATE_MS = 3_000;
/** While orders come and go, and when they rest. */
const COMPARED_EVERY_MS = 10_000;
const COMPARED_AT_REST_MS = 60_000;
const BUSY_MS = 60_000;
/** Activities lag up to ten seconds: after that the order itself is the proof. */
const ACTIVITIES_SETTLE_MS = 15_000;
const ACTIVITIES_OVERLAP_MS = 60_000;
const READS_A_TICK = 5;
/** An order that the broker does not know: its reads lag, so it is asked more than once, over more than a lag. */
const GONE_AFTER_READS = 3;
const GONE_AFTER_MS = 20_000;

interface Suspect {
  readonly since: number;
  unknownReads: number;
}

export class OrderWatch {
  /** Orders whose event is awaited, or that the broker's list does not show. */
  readonly #suspects = new Map<string, Suspect>();
  /** Orders with more filled than was published, since when. */
  readonly #owed = new Map<string, number>();
  #isRunning = false;
  #comparedAt = -Infinity;
  #busyUntil = -Infinity;

  constructor(private readonly parts: OrderWatchParts) {}

  /** The broker answered with this order: its event must come. */
  answered(order: Mirrored): void {
    this.#suspect(textOf(order.value, 'id'));
    this.#busy();
  }

  /** An event of the order came; what its answer promised is kept. */
  received(orderId: string): void {
    this.#suspects.delete(orderId);
    this.#busy();
  }

  /** The stream is in sync: what worked before is compared too. */
  resume(): void {
    this.#run();
  }

  /** The order as it was read, while its fills may not have been published. */
  check(order: Mirrored): void {
    const id = textOf(order.value, 'id');
    if (this.#owes(order) && !this.#owed.has(id)) this.#owed.set(id, this.parts.clock.monotonicMs());
    this.#run();
  }

  #busy(): void {
    this.#busyUntil = this.parts.clock.monotonicMs() + BUSY_MS;
    this.#run();
  }

  #suspect(id: string): void {
    if (id === '' || this.#suspects.has(id)) return;
    this.#suspects.set(id, { since: this.parts.clock.monotonicMs(), unknownReads: 0 });
  }

  #hasWork(): boolean {
    return this.#suspects.size + this.#owed.size > 0 || this.parts.book.working().length > 0;
  }

  #run(): void {
    if (this.#isRunning || !this.#hasWork()) return;
    this.#isRunning = true;
    void this.#loop().finally(() => (this.#isRunning = false));
  }

  async #loop(): Promise<void> {
    const { clock, stop, isInSync } = this.parts;
    while (this.#hasWork()) {
      await clock.sleep(TICK_MS, stop);
      if (stop.aborted) return;
      if (isInSync()) await this.#tick().catch(() => undefined);
    }
  }

  async #tick(): Promise<void> {
    const now = this.parts.clock.monotonicMs();
    const late = [...this.#suspects].filter(([, { since }]) => now - since >= EVENT_LATE_MS).slice(0, READS_A_TICK);
    for (const [id, suspect] of late) await this.#readOne(id, suspect);
    const every = now < this.#busyUntil ? COMPARED_EVERY_MS : COMPARED_AT_REST_MS;
    if (this.parts.book.working().length > 0 && now - this.#comparedAt >= every) await this.#compare(now);
    if ([...this.#owed.values()].some((since) => now - since >= EVENT_LATE_MS)) await this.#settleFills(now);
  }

  async #compare(now: number): Promise<void> {
    const { reader, book } = this.parts;
    const working = book.working();
    const open = await reader.orders('open');
    if (open === undefined) return;
    this.#comparedAt = now;
    const listed = new Set(open.map(({ value }) => textOf(value, 'id')));
    for (const order of open) this.#learn(order);
    for (const { value } of working) if (!listed.has(textOf(value, 'id'))) this.#suspect(textOf(value, 'id'));
  }

  async #readOne(id: string, suspect: Suspect): Promise<void> {
    const { reader, clock, book, pass, corrected } = this.parts;
    const reply = await reader.get(`/v2/orders/${encodeURIComponent(id)}`);
    if (reply?.status === 404) {
      suspect.unknownReads += 1;
      const isOver = suspect.unknownReads >= GONE_AFTER_READS && clock.monotonicMs() - suspect.since >= GONE_AFTER_MS;
      if (!isOver) return;
      this.#suspects.delete(id);
      const known = book.get(id);
      if (known === undefined || isTerminal(textOf(known.value, 'status'))) return;
      corrected('gone', { orderId: id });
      pass(updateOfGone(known));
      return;
    }
    const order = reply?.status === 200 ? reader.objectOf(reply) : undefined;
    if (order !== undefined && this.#learn(order)) this.#suspects.delete(id);
  }

  /** @returns whether nothing more of the order is awaited now */
  #learn(order: Mirrored): boolean {
    const { book, pass, isPublished, brokerNow, corrected } = this.parts;
    const [id, status] = [textOf(order.value, 'id'), textOf(order.value, 'status')];
    const known = book.get(id);
    if (!book.put(order) && known !== undefined) return isTerminal(textOf(known.value, 'status'));
    const isSettled = brokerNow() - Date.parse(textOf(order.value, 'updated_at')) >= EVENT_LATE_MS;
    const before = known === undefined ? undefined : textOf(known.value, 'status');
    const isChange = status !== 'filled' && status !== 'partially_filled' && !isPublished(order);
    if (isChange && isSettled) {
      corrected('order', { orderId: id, before, now: status });
      pass(updateOfStatus(order));
    }
    this.check(order);
    return isSettled || !isChange;
  }

  #owes(order: Mirrored): boolean {
    const { published, isTracked } = this.parts;
    // The executions of a multi-leg order are those of its legs.
    if (textOf(order.value, 'order_class') === 'mleg' || !isTracked(order)) return false;
    const filled = readDecimal(textOf(order.value, 'filled_qty')) ?? ZERO;
    return compareDecimals(filled, published.sum(textOf(order.value, 'id'))) > 0;
  }

  /** Looks for the fills of all orders that owe some; what activities do not show in time, the order itself proves. */
  async #settleFills(now: number): Promise<void> {
    const { reader, book, published, brokerNow } = this.parts;
    const oldest = Math.min(...this.#owed.values());
    const from = new Date(brokerNow() - (now - oldest) - ACTIVITIES_OVERLAP_MS).toISOString();
    const activities = await reader.fills(from);
    for (const [id, since] of this.#owed) {
      const order = book.get(id);
      if (order !== undefined && this.#owes(order)) {
        const filled = readDecimal(textOf(order.value, 'filled_qty')) ?? ZERO;
        const own = (activities ?? [])
          .map(({ value }) => fillOfActivity(value))
          .filter(({ orderId }) => orderId === id);
        for (const fill of published.missing(id, own, filled)) this.#publish(fill, order);
        const isOverdue = now - since >= ACTIVITIES_SETTLE_MS;
        if (isOverdue && activities !== undefined && this.#owes(order)) this.#publish(this.#rest(order), order);
      }
      if (order === undefined || !this.#owes(order)) this.#owed.delete(id);
    }
  }

  #publish(fill: OrderFill, order: Mirrored): void {
    this.parts.corrected('fill', { orderId: fill.orderId, qty: fill.qty });
    this.parts.pass(updateOfFill(fill, order));
  }

  /** What the order has filled and nothing explains, at the order's average price. */
  #rest({ value }: Mirrored): OrderFill {
    const orderId = textOf(value, 'id');
    const cumQty = textOf(value, 'filled_qty');
    const qty = printDecimal(subtractDecimals(readDecimal(cumQty) ?? ZERO, this.parts.published.sum(orderId)));
    const price = textOf(value, 'filled_avg_price');
    return { orderId, cumQty, qty, price, at: textOf(value, 'filled_at') || textOf(value, 'updated_at') };
  }
}
