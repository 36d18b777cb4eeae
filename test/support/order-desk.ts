/** An order desk on a broker that answers by script, a disk in memory and time turned by hand. */
import type { AuditEntry, AuditLog, AuditRecord } from '../../src/kernel/audit/audit-log.js';
import type { AccountAnswer, CallContext } from '../../src/kernel/domain/account-request.js';
import type { OrdersConfig, RiskRules } from '../../src/kernel/config/gateway-config.js';
import { GatewayError } from '../../src/kernel/domain/errors.js';
import type { AccountId } from '../../src/kernel/domain/identifiers.js';
import { SlotJournal } from '../../src/kernel/journal/slot-journal.js';
import type { KeyBounds, Store, StoreWrite } from '../../src/kernel/journal/store.js';
import { silentLog } from '../../src/kernel/runtime/log.js';
import { silentMeter } from '../../src/kernel/runtime/meter.js';
import type {
  AccountSession,
  BrokerCall,
  BrokerReply,
  MirrorView,
  TradeUpdate,
  BrokerAccount,
} from '../../src/workers/accounts/account-session.js';
import { noCrash } from '../../src/workers/orders/crash-points.js';
import { JournaledOrderDesk } from '../../src/workers/orders/journaled-order-desk.js';
import type { DeskPorts, Mark } from '../../src/workers/orders/ports.js';
import { ManualClock } from './manual-clock.js';

export const ACCOUNT = 'account_001' as AccountId;

export class MemoryStore implements Store {
  readonly data = new Map<string, Uint8Array>();
  refuses = false;
  fullness: string | undefined;

  get(key: string): Uint8Array | undefined {
    return this.data.get(key);
  }

  range(prefix: string): Iterable<{ readonly key: string; readonly value: Uint8Array }> {
    const found = [...this.data].filter(([key]) => key.startsWith(prefix));
    return found.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => ({ key, value }));
  }

  bounds(prefix: string): KeyBounds | undefined {
    const keys = [...this.range(prefix)].map(({ key }) => key);
    const [first, last] = [keys[0], keys.at(-1)];
    return first === undefined || last === undefined ? undefined : { first, last };
  }

  commit(writes: readonly StoreWrite[]): Promise<void> {
    if (this.refuses) return Promise.reject(new GatewayError('JOURNAL_BROKEN'));
    for (const { key, value } of writes) {
      if (value === undefined) this.data.delete(key);
      else this.data.set(key, value);
    }
    return Promise.resolve();
  }

  trouble(): string | undefined {
    return this.fullness;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export class MemoryAudit implements AuditLog {
  readonly entries: AuditEntry[] = [];
  isHealthy = true;
  refuses = false;

  append(entry: AuditEntry): Promise<void> {
    if (this.refuses) return Promise.reject(new GatewayError('AUDIT_BROKEN'));
    this.entries.push(entry);
    return Promise.resolve();
  }

  healthy(): boolean {
    return this.isHealthy;
  }

  async *read(): AsyncIterable<AuditRecord> {
    await Promise.resolve();
    for (const entry of this.entries) {
      yield { ...entry, seq: 0, writer: 'w', at: '', monotonicMs: 0, previous: '', hash: '' };
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  kinds(): readonly string[] {
    return this.entries.map(({ kind }) => kind);
  }
}

export type Answerer = (call: BrokerCall, body: Record<string, unknown>) => BrokerReply | Promise<BrokerReply>;

/** Answers with `answer`; keeps what was sent. */
export class ScriptedSession implements AccountSession {
  readonly accountId = ACCOUNT;
  readonly calls: BrokerCall[] = [];
  readonly positions_ = new Map<string, Record<string, unknown>>();
  readonly openOrders_: Record<string, unknown>[] = [];
  readonly mirrored = new Map<string, Readonly<Record<string, unknown>>>();
  readonly mirror: MirrorView;
  /** What the desk gave with each order that it noted. */
  readonly notedTexts: (string | undefined)[] = [];
  inSync = true;
  keysId = 'keys-1';
  named: BrokerAccount | undefined;
  #listeners = new Set<(update: TradeUpdate) => void>();

  constructor(
    public answer: Answerer,
    readonly epoch = 1,
  ) {
    const isInSync = (): boolean => this.inSync;
    this.mirror = {
      get inSync(): boolean {
        return isInSync();
      },
      openOrders: () => this.openOrders_,
      orderByClientOrderId: (id) => this.mirrored.get(id),
      orderById: (id) => [...this.mirrored.values()].find((order) => order['id'] === id),
      position: (symbol) => this.positions_.get(symbol),
      positions: () => [...this.positions_.values()],
      account: () => undefined,
    };
  }

  posts(): readonly Record<string, unknown>[] {
    return this.calls.filter(({ method }) => method === 'POST').map(({ body }) => JSON.parse(body ?? '{}'));
  }

  send(call: BrokerCall): Promise<BrokerReply> {
    if (call.mayStillSend?.() === false) {
      return Promise.resolve({ kind: 'not-sent', reason: 'forbidden', detail: 'asked at the last moment' });
    }
    this.calls.push(call);
    const position = /^\/v2\/positions\/(.+)$/.exec(call.path)?.[1];
    const held =
      call.method === 'GET' && position !== undefined ? this.positions_.get(decodeURIComponent(position)) : undefined;
    if (held !== undefined) return Promise.resolve(answered(200, held));
    return Promise.resolve(this.answer(call, JSON.parse(call.body ?? '{}') as Record<string, unknown>));
  }

  tell(event: string, order: Record<string, unknown>, executionId?: string): void {
    const timestamp = '2026-01-05T15:00:00Z';
    const data = JSON.stringify({ event, timestamp, order, execution_id: executionId, qty: '1', price: '2' });
    const update = {
      event,
      timestamp,
      data,
      order,
      reconciled: false,
      ...(executionId === undefined ? {} : { executionId }),
    };
    for (const listener of this.#listeners) listener(update);
  }

  brokerAccount(): BrokerAccount | undefined {
    return this.named;
  }

  onBrokerAccount(): () => void {
    return () => undefined;
  }

  state(): 'ready' {
    return 'ready';
  }

  report(): ReturnType<AccountSession['report']> {
    return { accountId: ACCOUNT, state: 'ready', streamConnected: true };
  }

  read(): ReturnType<AccountSession['read']> {
    return Promise.resolve({ kind: 'problem', problem: { code: 'broker-unreachable', detail: '' } });
  }

  noteOrder(order: Readonly<Record<string, unknown>>, text?: string): void {
    this.notedTexts.push(text);
    this.mirrored.set(String(order['client_order_id']), order);
  }

  onTradeUpdate(listen: (update: TradeUpdate) => void): () => void {
    this.#listeners.add(listen);
    return () => this.#listeners.delete(listen);
  }

  onState(): () => void {
    return () => undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

export interface DeskFixtureOptions {
  readonly clock?: ManualClock;
  readonly store?: MemoryStore;
  readonly others?: readonly Store[];
  readonly audit?: MemoryAudit;
  readonly orders?: Partial<OrdersConfig>;
  readonly risk?: RiskRules;
  readonly marks?: Readonly<Record<string, Mark>>;
  readonly tellTradingState?: DeskPorts['tellTradingState'];
}

export class DeskFixture {
  readonly clock: ManualClock;
  readonly store: MemoryStore;
  readonly audit: MemoryAudit;
  readonly desk: JournaledOrderDesk;
  #drawn = 1;

  constructor(options: DeskFixtureOptions = {}) {
    this.clock = options.clock ?? new ManualClock();
    this.store = options.store ?? new MemoryStore();
    this.audit = options.audit ?? new MemoryAudit();
    const stores = { own: this.store, others: () => options.others ?? [], close: () => Promise.resolve() };
    this.desk = new JournaledOrderDesk(
      {
        journal: new SlotJournal(stores, { ringSize: 5, keepKeysDays: 9 }, this.clock),
        audit: this.audit,
        marks: { quote: (symbol) => options.marks?.[symbol] },
        fence: { holds: () => true },
        clock: this.clock,
        entropy: { next: () => (this.#drawn = (this.#drawn * 16_807 + 1) % 2_147_483_647) / 2_147_483_647 },
        crash: noCrash,
        log: silentLog,
        meter: silentMeter,
        ...(options.tellTradingState !== undefined && { tellTradingState: options.tellTradingState }),
      },
      {
        orders: {
          requireIdempotencyKey: false,
          ambiguous: 'reconcile_only',
          answerDeadlineMs: 2_000,
          quarantineAfterMs: 900_000,
          onLate: 'keep',
          keepKeysDays: 9,
          ...options.orders,
        },
        risk: { defaults: options.risk ?? {}, accounts: {} },
        attemptDeadlineMs: 10_000,
      },
    );
  }

  submit(
    order: Record<string, unknown>,
    more: { key?: string; dryRun?: boolean; subject?: string; accountId?: AccountId } = {},
  ): Promise<AccountAnswer> {
    return this.desk.execute(
      {
        kind: 'submit-order',
        accountId: more.accountId ?? ACCOUNT,
        assetClass: 'stocks',
        order,
        dryRun: more.dryRun ?? false,
        ...(more.key === undefined ? {} : { idempotencyKey: more.key }),
      },
      aContext({ subject: more.subject ?? 'caller' }),
    );
  }
}

export function aContext(more: Partial<CallContext> = {}): CallContext {
  return { requestId: 'request-1', subject: 'caller', budgetMs: 30_000, ...more };
}

export function anOrder(more: Record<string, unknown> = {}): Record<string, unknown> {
  return { symbol: 'AAPL', side: 'buy', type: 'limit', time_in_force: 'day', qty: '2', limit_price: '150.00', ...more };
}

export function answered(status: number, body: unknown): BrokerReply {
  return { kind: 'answered', status, headers: {}, body: new TextEncoder().encode(JSON.stringify(body)), upstreamMs: 1 };
}

export function accepted(body: Record<string, unknown>, more: Record<string, unknown> = {}): BrokerReply {
  return answered(200, { id: 'broker-1', status: 'new', filled_qty: '0', ...body, ...more });
}

export const LOST: BrokerReply = { kind: 'ambiguous', detail: 'reset', upstreamMs: 1 };
export const NOT_FOUND = answered(404, { code: 40410000, message: 'order not found' });

export function statusOf(answer: AccountAnswer): number | string {
  return answer.kind === 'answer' ? answer.status : answer.problem.code;
}

export function bodyOf(answer: AccountAnswer): any {
  if (answer.kind !== 'answer') throw new Error(`a problem: ${answer.problem.code}`);
  return JSON.parse(new TextDecoder().decode(answer.body));
}
