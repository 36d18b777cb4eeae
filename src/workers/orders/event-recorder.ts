/**
 * Numbers an account's trade updates, keeps them, then tells them, in that order; and sees to it that every fill reaches
 * the audit trail once, even when the worker dies between journal and audit.
 */
import type { AccountJournal } from '../../kernel/journal/account-journal.js';
import type { PendingFill } from '../../kernel/journal/records.js';
import type { OrderEvent } from '../../kernel/domain/order-event.js';
import type { TradeUpdate } from '../accounts/account-session.js';
import { fillsOf } from '../accounts/trade-updates.js';
import { isRecord, type BrokerOrder } from './core/order-match.js';
import type { DeskPorts } from './ports.js';

interface OwedFill {
  readonly fill: PendingFill;
  isKept: boolean;
}

const OWED_RETRY_MS = 1_000;
/** Beyond this the fill is left to the journal and its next owner, loudly. */
const OWED_MAX = 10_000;

export class EventRecorder {
  /** Tells in the order of numbers, whatever the order of commits. */
  #tail: Promise<void> = Promise.resolve();
  readonly #owed: OwedFill[] = [];
  #isStopped = false;

  constructor(
    private readonly journal: AccountJournal,
    private readonly ports: DeskPorts,
    private readonly tell: (event: OrderEvent) => void,
  ) {}

  record(update: TradeUpdate): void {
    const fills = this.#fillsOf(update).filter(({ executionId }) => !this.journal.knowsExecution(executionId));
    const { event: word, timestamp, data, reconciled } = update;
    const { event, durable } = this.journal.appendEvent({ event: word, timestamp, data, reconciled }, fills);
    this.ports.meter.count('opitios_order_events_total', { reconciled: String(reconciled) });
    const kept = durable.then(
      () => true,
      (cause: unknown) => {
        this.ports.log.error({ accountId: this.journal.accountId, seq: event.seq, cause }, 'order event not kept');
        return false;
      },
    );
    this.#tail = this.#tail.then(async () => {
      const isKept = await kept;
      this.tell(event);
      for (const fill of fills) await this.#see({ fill, isKept });
    });
  }

  /** Fills that a former owner kept and may not have audited. Tried again until the trail can be read. */
  finishPendingFills(): void {
    this.#finishPendingFills().catch((cause: unknown) => {
      this.ports.log.error({ accountId: this.journal.accountId, cause }, 'pending fills not finished');
      this.ports.clock.after(OWED_RETRY_MS, () => {
        if (!this.#isStopped) this.finishPendingFills();
      });
    });
  }

  /** The trail itself is asked which of them it has. */
  async #finishPendingFills(): Promise<void> {
    const pending = this.journal.pendingFills();
    const oldest = Math.min(...pending.map(({ at }) => at));
    if (pending.length === 0) return;
    const audited = new Set<unknown>();
    const query = {
      accountId: this.journal.accountId,
      kinds: ['fill'] as const,
      from: new Date(oldest - 60_000).toISOString(),
    };
    for await (const { facts } of this.ports.audit.read(query)) {
      const { execution_id: executionId, order_id: orderId, cum_qty: cumQty } = facts;
      audited.add(executionId ?? `${String(orderId)}/${String(cumQty)}`);
    }
    for (const fill of pending) {
      if (audited.has(fill.executionId)) await this.#forgetPending(fill);
      else await this.#see({ fill, isKept: true });
    }
  }

  /** Resolves when everything recorded so far is kept, told and audited, or owed. */
  async drained(): Promise<void> {
    await this.#tail;
  }

  /** Nothing is tried again: what is owed and kept is the next owner's. */
  stop(): void {
    this.#isStopped = true;
  }

  async #see(owed: OwedFill): Promise<void> {
    if (!(await this.#audit(owed))) this.#owe(owed);
  }

  /** Kept first: only a kept fill is known to a successor, who must not audit it again. */
  async #audit(owed: OwedFill): Promise<boolean> {
    const { accountId } = this.journal;
    const { fill } = owed;
    try {
      if (!owed.isKept) await this.journal.keepFill(fill);
      owed.isKept = true;
      await this.ports.audit.append({ kind: 'fill', accountId, subject: 'system', facts: fill.facts });
    } catch (cause) {
      this.ports.log.error({ accountId, executionId: fill.executionId, cause }, 'fill not audited yet');
      return false;
    }
    await this.#forgetPending(fill);
    return true;
  }

  /** Harmless when it fails: whoever finds it pending asks the trail first. */
  async #forgetPending({ executionId }: PendingFill): Promise<void> {
    await this.journal.fillAudited(executionId).catch((cause: unknown) => {
      const { accountId } = this.journal;
      this.ports.log.warn({ accountId, executionId, cause }, 'audited fill still marked pending');
    });
  }

  #owe(owed: OwedFill): void {
    if (this.#owed.length >= OWED_MAX) {
      this.ports.log.error({ accountId: this.journal.accountId, ...owed.fill.facts }, 'fill left to the next owner');
      return;
    }
    this.#owed.push(owed);
    if (this.#owed.length === 1) this.#payLater();
  }

  #payLater(): void {
    this.ports.clock.after(OWED_RETRY_MS, () => {
      if (!this.#isStopped) void this.#pay();
    });
  }

  async #pay(): Promise<void> {
    while (this.#owed[0] !== undefined && (await this.#audit(this.#owed[0]))) this.#owed.shift();
    if (this.#owed.length > 0) this.#payLater();
  }

  #fillsOf(update: TradeUpdate): readonly PendingFill[] {
    if (update.event !== 'fill' && update.event !== 'partial_fill') return [];
    const data = readData(update.data);
    const at = this.ports.clock.now();
    const common = {
      order_id: update.order['id'],
      client_order_id: update.order['client_order_id'],
      symbol: update.order['symbol'],
      side: update.order['side'],
      event_at: update.timestamp,
      reconciled: update.reconciled,
    };
    // One a leg where the broker names legs. What only an activity showed is known by its order and sum.
    return fillsOf(data, update.order, update.timestamp).map(({ orderId, executionId, cumQty, qty, price }, index) => {
      const legs = data['legs'];
      const leg: unknown = Array.isArray(legs) ? legs[index] : undefined;
      const ofLeg = isRecord(leg) ? { symbol: leg['symbol'], leg_order_id: orderId } : {};
      const facts = { ...common, execution_id: executionId, cum_qty: cumQty, qty, price, ...ofLeg };
      return { executionId: executionId ?? `${orderId}/${cumQty ?? ''}`, at, facts };
    });
  }
}

function readData(text: string): BrokerOrder {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : {};
  } catch {
    return {};
  }
}
