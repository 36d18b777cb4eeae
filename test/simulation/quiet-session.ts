/** What a simulated session says of itself, and what no simulation asks for: the same for every virtual broker. */
import type { AccountId } from '../../src/kernel/domain/identifiers.js';
import type {
  AccountSession,
  BrokerCall,
  BrokerReply,
  MirrorView,
  TradeUpdate,
} from '../../src/workers/accounts/account-session.js';
import type { Process } from './virtual-disk.js';

export abstract class QuietSession implements AccountSession {
  abstract readonly mirror: MirrorView;
  protected listener: ((update: TradeUpdate) => void) | undefined;

  protected constructor(
    readonly accountId: AccountId,
    readonly epoch: number,
    protected readonly process: Process,
  ) {}

  protected abstract request(call: BrokerCall): Promise<BrokerReply>;
  abstract noteOrder(order: Readonly<Record<string, unknown>>, text?: string): void;

  readonly keysId = 'simulated';

  brokerAccount(): undefined {
    return undefined;
  }

  onBrokerAccount(): () => void {
    return () => undefined;
  }

  state(): 'ready' {
    return 'ready';
  }

  report(): ReturnType<AccountSession['report']> {
    return { accountId: this.accountId, state: 'ready', streamConnected: true };
  }

  /** A killed process gets no reply. */
  send(call: BrokerCall): Promise<BrokerReply> {
    return new Promise((resolve) => {
      if (!this.process.isAlive) return;
      void this.request(call).then((reply) => {
        if (this.process.isAlive) resolve(reply);
      });
    });
  }

  read(): ReturnType<AccountSession['read']> {
    return Promise.resolve({ kind: 'problem', problem: { code: 'broker-unreachable', detail: 'not simulated' } });
  }

  onTradeUpdate(listen: (update: TradeUpdate) => void): () => void {
    this.listener = listen;
    return () => {
      this.listener = undefined;
    };
  }

  onState(): () => void {
    return () => undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
