/** A real order desk: lmdb journal, audit files, a real session over sockets to the local broker. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AUDIT_DEFAULTS, openAuditLog } from '../../src/kernel/audit/file-audit-log.js';
import type { OrdersConfig, RiskRules } from '../../src/kernel/config/gateway-config.js';
import type { AccountId } from '../../src/kernel/domain/identifiers.js';
import { openJournal } from '../../src/kernel/journal/open-journal.js';
import { silentLog } from '../../src/kernel/runtime/log.js';
import { silentMeter } from '../../src/kernel/runtime/meter.js';
import { SystemClock } from '../../src/kernel/runtime/system-clock.js';
import type { Simulator } from '../../src/simulator/simulator.js';
import { BrokerPool } from '../../src/workers/alpaca/broker-pool.js';
import { BrokerWire } from '../../src/workers/alpaca/broker-wire.js';
import { BrokerSession } from '../../src/workers/accounts/broker-session.js';
import { noCrash } from '../../src/workers/orders/crash-points.js';
import { systemEntropy } from '../../src/workers/orders/entropy.js';
import { JournaledOrderDesk } from '../../src/workers/orders/journaled-order-desk.js';
import type { MarkSource } from '../../src/workers/orders/ports.js';
import { eventually } from './eventually.js';

export interface DeskOnSimulator {
  readonly desk: JournaledOrderDesk;
  readonly accountId: AccountId;
  readonly session: BrokerSession;
  readonly wire: BrokerWire;
  close(): Promise<void>;
}

export interface DeskOnSimulatorOptions {
  readonly orders?: Partial<OrdersConfig>;
  readonly risk?: RiskRules;
  readonly marks?: MarkSource;
  readonly attemptDeadlineMs?: number;
  /** Before the stream is opened again. */
  readonly backOffMs?: { readonly min: number; readonly max: number };
  /** Used again by a successor; its own, removed at close, unless given. */
  readonly dataDir?: string;
  readonly slot?: number;
  readonly epoch?: number;
}

export async function aDeskOn(simulator: Simulator, options: DeskOnSimulatorOptions = {}): Promise<DeskOnSimulator> {
  const clock = new SystemClock();
  const dataDir = options.dataDir ?? mkdtempSync(join(tmpdir(), 'opitios-desk-'));
  const { slot = 1, epoch = 1 } = options;
  const journal = await openJournal({ dataDir, slot, freeBytesMin: 0, ringSize: 1_000, keepKeysDays: 9 }, clock);
  const audit = await openAuditLog(
    { dir: join(dataDir, 'audit'), writer: `worker-${slot}-${epoch}`, ...AUDIT_DEFAULTS },
    { clock, log: silentLog, meter: silentMeter },
  );
  const [account] = simulator.accounts;
  const accountId = account!.accountId as AccountId;
  const origin = simulator.endpoints.trading;
  const pool = new BrokerPool({ origin, connections: 32, connectTimeoutMs: 2_000, keepAliveMs: 60_000 }, clock);
  const keys = { keyId: account!.apiKey, secretKey: account!.secretKey };
  const wire = new BrokerWire(pool, origin, keys);
  const stream = {
    url: simulator.endpoints.streamTrading,
    openTimeoutMs: 5_000,
    pingIntervalMs: 5_000,
    backOffMinMs: options.backOffMs?.min ?? 50,
    backOffMaxMs: options.backOffMs?.max ?? 500,
  };
  const session = new BrokerSession(
    { accountId, epoch, keys, stream, budget: { limitPerMinute: 100_000, inFlightMax: 64, waitingMax: 1_000 } },
    { wire, clock, log: silentLog, meter: silentMeter, jitter: () => systemEntropy.next() },
  );
  const desk = new JournaledOrderDesk(
    {
      journal,
      audit,
      marks: options.marks ?? { quote: () => undefined },
      fence: { holds: () => true },
      clock,
      entropy: systemEntropy,
      crash: noCrash,
      log: silentLog,
      meter: silentMeter,
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
      attemptDeadlineMs: options.attemptDeadlineMs ?? 2_000,
    },
  );
  await desk.adopt(session);
  session.start();
  await eventually('the session is ready', () => session.state() === 'ready');
  return {
    desk,
    accountId,
    session,
    wire,
    close: async () => {
      await desk.close({ deadlineMs: 1_000 });
      await session.close();
      await pool.close();
      await journal.close();
      await audit.close();
      if (options.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
