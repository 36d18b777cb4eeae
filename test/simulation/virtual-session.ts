/** An account session on the virtual venue: sends once, hears the stream, repairs its gaps, each update once. */
import type { AccountId } from '../../src/kernel/domain/identifiers.js';
import type { BrokerCall, BrokerReply, MirrorView, TradeUpdate } from '../../src/workers/accounts/account-session.js';
import { QuietSession } from './quiet-session.js';
import type { Process } from './virtual-disk.js';
import type { VirtualTime } from './virtual-time.js';
import type { VirtualVenue } from './virtual-venue.js';

const REPAIR_EVERY_MS = 2_000;

export class VirtualSession extends QuietSession {
  readonly #orders = new Map<string, Readonly<Record<string, unknown>>>();
  readonly #heard = new Set<string>();
  readonly mirror: MirrorView;

  constructor(
    accountId: AccountId,
    epoch: number,
    private readonly venue: VirtualVenue,
    private readonly time: VirtualTime,
    process: Process,
  ) {
    super(accountId, epoch, process);
    this.mirror = {
      inSync: true,
      openOrders: () => [...this.#orders.values()].filter((order) => order['status'] === 'new'),
      orderByClientOrderId: (id) => this.#orders.get(id),
      orderById: (id) => [...this.#orders.values()].find((order) => order['id'] === id),
      position: () => undefined,
      positions: () => [],
      account: () => undefined,
    };
    venue.listen(accountId, (update) => this.#hear(update));
    this.#repairLater();
  }

  protected request(call: BrokerCall): Promise<BrokerReply> {
    return this.venue.request(this.accountId, this.epoch, call);
  }

  noteOrder(order: Readonly<Record<string, unknown>>): void {
    this.#orders.set(String(order['client_order_id']), order);
  }

  #hear(update: TradeUpdate): void {
    const name = `${String(update.order['id'])}/${update.event}/${update.executionId ?? ''}`;
    const listener = this.listener;
    if (!this.process.isAlive || listener === undefined || this.#heard.has(name)) return;
    this.#heard.add(name);
    this.noteOrder(update.order);
    listener(update);
  }

  #repairLater(): void {
    this.time.at(REPAIR_EVERY_MS, () => {
      if (!this.process.isAlive) return;
      for (const { update } of this.venue.executions.get(this.accountId) ?? [])
        this.#hear({ ...update, reconciled: true });
      this.#repairLater();
    });
  }
}
