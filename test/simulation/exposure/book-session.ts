/** An account session on the virtual book, with the gateway's own mirror: filled by events, repaired after a while. */
import type { AccountId } from '../../../src/kernel/domain/identifiers.js';
import type { Clock } from '../../../src/kernel/runtime/clock.js';
import type { BrokerCall, BrokerReply, TradeUpdate } from '../../../src/workers/accounts/account-session.js';
import { Mirror } from '../../../src/workers/accounts/mirror.js';
import { mirroredListOf, mirroredOf } from '../../../src/workers/accounts/mirrored.js';
import { QuietSession } from '../quiet-session.js';
import type { Process } from '../virtual-disk.js';
import type { VirtualTime } from '../virtual-time.js';
import type { BookBroker } from './book-broker.js';

const REPAIR_EVERY_MS = 3_000;
const FIRST_READ_MS = 50;

export class BookSession extends QuietSession {
  readonly mirror: Mirror;
  readonly #seen = new Set<string>();

  constructor(
    accountId: AccountId,
    epoch: number,
    private readonly parts: {
      readonly broker: BookBroker;
      readonly time: VirtualTime;
      readonly clock: Clock;
      readonly process: Process;
    },
  ) {
    super(accountId, epoch, parts.process);
    this.mirror = new Mirror(parts.clock);
    parts.broker.onUpdate = (update) => this.#receive(update);
    parts.time.at(FIRST_READ_MS, () => this.#readAll());
    this.#repairLater();
  }

  protected request(call: BrokerCall): Promise<BrokerReply> {
    return this.parts.broker.request(call);
  }

  noteOrder(order: Readonly<Record<string, unknown>>, text = JSON.stringify(order)): void {
    const mirrored = mirroredOf(text);
    if (mirrored !== undefined) this.mirror.orders.put(mirrored);
  }

  #receive(update: TradeUpdate): void {
    const name = `${String(update.order['id'])}/${update.event}/${update.executionId ?? ''}`;
    if (!this.process.isAlive || this.#seen.has(name)) return;
    this.#seen.add(name);
    this.noteOrder(update.order);
    if (update.executionId !== undefined) {
      const { position_qty: qty = '' } = JSON.parse(update.data) as { position_qty?: string };
      this.mirror.noteFill(String(update.order['symbol']), qty, update.timestamp);
    }
    this.listener?.(update);
  }

  /** As a session does when its stream is up: the broker's own lists, at the time of the question. */
  #readAll(): void {
    const { broker } = this.parts;
    if (!this.process.isAlive) return;
    for (const row of broker.rows)
      this.noteOrder(JSON.parse(JSON.stringify(broker.viewOf(row))) as Record<string, unknown>);
    this.#readPositions();
    this.mirror.inSync = true;
  }

  #readPositions(): void {
    const text = JSON.stringify(this.parts.broker.positionsNow());
    this.mirror.putPositions(text, mirroredListOf(text) ?? [], this.mirror.asking());
  }

  #repairLater(): void {
    this.parts.time.at(REPAIR_EVERY_MS, () => {
      if (!this.process.isAlive) return;
      const found = this.parts.broker.lost.splice(0);
      for (const update of found) this.#receive(reconciled(update));
      if (found.length > 0) this.#readPositions();
      this.#repairLater();
    });
  }
}

/** As a repair finds it in the activities: without the position that it left. */
function reconciled(update: TradeUpdate): TradeUpdate {
  const data = { ...(JSON.parse(update.data) as object), position_qty: undefined };
  return { ...update, data: JSON.stringify(data), reconciled: true };
}
