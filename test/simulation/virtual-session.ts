/** An account session on the virtual venue: sends once, hears the stream, repairs its gaps, each update once. */
import type { AccountId } from '../../src/kernel/domain/identifiers.js';
import type {
  AccountSession,
  BrokerCall,
  BrokerReply,
  MirrorView,
  TradeUpdate,
} from '../../src/workers/accounts/account-session.js';
import type { Process } from './virtual-disk.js';
import type { VirtualTime } from './virtual-time.js';
import type { VirtualVenue } from './virtual-venue.js';

const REPAIR_EVERY_MS = 2_000;

export class VirtualSession implements AccountSession {
  readonly #orders = new Map<string, Readonly<Record<string, unknown>>>();
  readonly #heard = new Set<string>();
  #listener: ((update: TradeUpdate) => void) | undefined;
  readonly mirror: MirrorView;

  constructor(
    readonly accountId: AccountId,
    readonly epoch: number,
    private readonly venue: VirtualVenue,
    private readonly time: VirtualTime,
    private readonly process: Process,
  ) {
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

  state(): 'ready' {
    return 'ready';
  }

  report(): ReturnType<AccountSession['report']> {
    return { accountId: this.accountId, state: 'ready', streamConnected: true };
  }

  send(call: BrokerCall): Promise<BrokerReply> {
    return new Promise((resolve) => {
      if (!this.process.isAlive) return;
      void this.venue.request(this.accountId, this.epoch, call).then((reply) => {
        if (this.process.isAlive) resolve(reply);
      });
    });
  }

  read(): ReturnType<AccountSession['read']> {
    return Promise.resolve({ kind: 'problem', problem: { code: 'broker-unreachable', detail: 'not simulated' } });
  }

  noteOrder(order: Readonly<Record<string, unknown>>): void {
    this.#orders.set(String(order['client_order_id']), order);
  }

  onTradeUpdate(listen: (update: TradeUpdate) => void): () => void {
    this.#listener = listen;
    return () => {
      this.#listener = undefined;
    };
  }

  onState(): () => void {
    return () => undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #hear(update: TradeUpdate): void {
    const name = `${String(update.order['id'])}/${update.event}/${update.executionId ?? ''}`;
    const listener = this.#listener;
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
