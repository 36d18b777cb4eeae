/** What trades in a worker: the broker's pools, a session for each granted account, the order desk with its journal. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { AUDIT_DEFAULTS, openAuditLog } from '../../kernel/audit/file-audit-log.js';
import type { AuditLog } from '../../kernel/audit/audit-log.js';
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import type { AccountId } from '../../kernel/domain/identifiers.js';
import type { AccountGrant } from '../../kernel/ipc/control.js';
import { FirstByteMarks } from '../../kernel/shared-memory/first-byte-marks.js';
import { openJournal } from '../../kernel/journal/open-journal.js';
import type { SlotJournal } from '../../kernel/journal/slot-journal.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import type { Meter } from '../../kernel/runtime/meter.js';
import type { Tracer } from '../../kernel/runtime/tracer.js';
import { BrokerSession } from '../accounts/broker-session.js';
import type { KeysVerdict } from '../accounts/budgeted-calls.js';
import { BrokerPool } from '../alpaca/broker-pool.js';
import { BrokerWire } from '../alpaca/broker-wire.js';
import { upstreamAccounts } from '../market-data/alpaca-upstream.js';
import type { CrashPoints } from '../orders/crash-points.js';
import { systemEntropy } from '../orders/entropy.js';
import { JournaledOrderDesk } from '../orders/journaled-order-desk.js';
import type { DeskPorts, Fence, MarkSource } from '../orders/ports.js';

export interface TradingParts {
  readonly config: GatewayConfig;
  readonly slot: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly meter: Meter;
  readonly tracer: Tracer;
  readonly marks: MarkSource;
  readonly fence: Fence;
  readonly crash: CrashPoints;
  readonly tellTradingState?: DeskPorts['tellTradingState'] | undefined;
}

const FREE_BYTES_MIN = 16 << 20;
const CONNECT_TIMEOUT_MS = 5_000;
/** Longer than any pause of a trading day between two heartbeats of reads, shorter than the broker's own limit. */
const KEEP_ALIVE_MS = 600_000;
const BUDGET = { inFlightMax: 16, waitingMax: 200 };
const STREAM = { openTimeoutMs: 10_000, pingIntervalMs: 5_000, backOffMinMs: 200, backOffMaxMs: 15_000 };

export class Trading {
  readonly #pools = new Map<string, BrokerPool>();
  /** Sockets stay open: accounts that come later find them so, and their budget is not spent on it. */
  readonly #warmed = new Map<string, Promise<void>>();

  private constructor(
    private readonly parts: TradingParts,
    readonly desk: JournaledOrderDesk,
    readonly journal: SlotJournal,
    readonly audit: AuditLog,
  ) {}

  /** @throws GatewayError JOURNAL_LOCKED, JOURNAL_BROKEN, AUDIT_BROKEN */
  static async open(parts: TradingParts): Promise<Trading> {
    const { config, slot, clock, log, meter } = parts;
    mkdirSync(config.dataDir, { recursive: true, mode: 0o700 });
    const journal = await openJournal(
      {
        dataDir: config.dataDir,
        slot,
        freeBytesMin: FREE_BYTES_MIN,
        ringSize: config.streams.ringSize,
        keepKeysDays: config.orders.keepKeysDays,
        onCommitted: (spentMs) => meter.observe('opitios_journal_commit_seconds', spentMs / 1_000),
      },
      clock,
    );
    const audit = await openAuditLog(
      { dir: join(config.dataDir, 'audit'), writer: `worker-${slot}`, ...AUDIT_DEFAULTS },
      { clock, log, meter },
    );
    const ports = {
      fence: parts.fence,
      journal,
      audit,
      marks: parts.marks,
      clock,
      entropy: systemEntropy,
      crash: parts.crash,
      log,
      meter,
      ...firstBytesOf(parts),
      ...(parts.tellTradingState !== undefined && { tellTradingState: parts.tellTradingState }),
    };
    const desk = new JournaledOrderDesk(ports, {
      orders: config.orders,
      risk: config.risk,
      attemptDeadlineMs: config.alpaca.requestTimeoutMs,
      marksEpoch: config.cluster.redis !== undefined,
    });
    return new Trading(parts, desk, journal, audit);
  }

  /** Not started: listeners first. */
  session(grant: AccountGrant): BrokerSession {
    const { config, clock, log, meter } = this.parts;
    const { endpoints } = config.alpaca;
    const url = grant.paperTrading ? endpoints.streamTradingPaper : endpoints.streamTradingLive;
    return new BrokerSession(
      {
        accountId: grant.accountId,
        epoch: grant.epoch,
        keys: keysOf(grant),
        stream: { url, ...STREAM },
        budget: { limitPerMinute: config.alpaca.rateLimitPerMinute, ...BUDGET },
      },
      {
        wire: this.#wire(grant),
        ...{ clock, log, meter, jitter: () => systemEntropy.next() },
      },
    );
  }

  /** What was recorded under the account id may be shown and go on: it is of the account that the session reaches. */
  isProven(session: BrokerSession): boolean {
    try {
      return this.desk.tenancyOf(session) !== 'unproven';
    } catch {
      // A journal that cannot be read refuses the account by itself.
      return true;
    }
  }

  /** The session goes on under the grant's keys, when they are of the same account. */
  rotate(session: BrokerSession, grant: AccountGrant): Promise<KeysVerdict> {
    return session.rotate(keysOf(grant), this.#wire(grant));
  }

  /** The market-data side of the master and of its stand-ins, on the same pools. */
  upstreams(master: AccountGrant): ReturnType<typeof upstreamAccounts> {
    const { config, clock, tracer } = this.parts;
    return upstreamAccounts(master, {
      endpoints: config.alpaca.endpoints,
      poolOf: (origin) => this.#pool(origin),
      clock,
      tracer,
    });
  }

  /** Opens every socket of the pools that these accounts will use. */
  async warm(grants: readonly AccountGrant[]): Promise<void> {
    const { endpoints, requestTimeoutMs } = this.parts.config.alpaca;
    const [any] = grants;
    if (any === undefined) return;
    const origins = new Set(grants.map((one) => (one.paperTrading ? endpoints.tradingPaper : endpoints.tradingLive)));
    const probe = { path: '/v2/clock', headers: headersOf(any), deadlineMs: requestTimeoutMs };
    const warmed = [...origins].map((origin) => {
      const warming = this.#warmed.get(origin) ?? this.#pool(origin).warm(probe);
      this.#warmed.set(origin, warming);
      return warming;
    });
    await Promise.all(warmed);
  }

  async release(accountId: AccountId, deadlineMs: number): Promise<void> {
    await this.desk.release(accountId, { deadlineMs });
  }

  async close(deadlineMs: number): Promise<void> {
    await this.desk.close({ deadlineMs });
    for (const pool of this.#pools.values()) await pool.close();
    await this.journal.close();
    await this.audit.close();
  }

  #wire(grant: AccountGrant): BrokerWire {
    const { endpoints } = this.parts.config.alpaca;
    const origin = grant.paperTrading ? endpoints.tradingPaper : endpoints.tradingLive;
    return new BrokerWire(this.#pool(origin), origin, keysOf(grant), this.parts.tracer);
  }

  #pool(origin: string): BrokerPool {
    const known = this.#pools.get(origin);
    if (known !== undefined) return known;
    const options = {
      origin,
      connections: this.parts.config.alpaca.poolConnections,
      connectTimeoutMs: CONNECT_TIMEOUT_MS,
      keepAliveMs: KEEP_ALIVE_MS,
      onOpened: () => this.parts.meter.count('opitios_broker_connections_opened_total'),
    };
    const pool = new BrokerPool(options, this.parts.clock);
    this.#pools.set(origin, pool);
    return pool;
  }
}

/** An order goes without a mark where there is no shared memory: its successor knows less, and nothing else changes. */
function firstBytesOf({ config, slot, log }: TradingParts): Pick<DeskPorts, 'firstBytes'> {
  const { dataDir, marketData } = config;
  try {
    return { firstBytes: FirstByteMarks.open({ base: marketData.sharedMemoryDir, dataDir, slot }) };
  } catch (cause) {
    log.warn({ cause }, 'orders are not marked outside this process');
    return {};
  }
}

function keysOf(grant: AccountGrant): { readonly keyId: string; readonly secretKey: string } {
  return { keyId: grant.apiKey, secretKey: grant.secretKey };
}

function headersOf(grant: AccountGrant): Readonly<Record<string, string>> {
  return { 'APCA-API-KEY-ID': grant.apiKey, 'APCA-API-SECRET-KEY': grant.secretKey };
}
