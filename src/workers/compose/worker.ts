/**
 * One worker, put together: what exists once in the process and who knows whom. Built when the primary says `start`,
 * closed in the reverse order when it says `drain`.
 */
import { join } from 'node:path';
import { openAuditLog, AUDIT_DEFAULTS } from '../../kernel/audit/file-audit-log.js';
import { JwtVerifier } from '../../kernel/auth/jwt-verifier.js';
import type { GatewayConfig } from '../../kernel/config/gateway-config.js';
import { MASTER_ACCOUNT_ID, type AccountId } from '../../kernel/domain/identifiers.js';
import type { AccountGrant, PrimaryMessage, WorkerMessage, WorkerReport } from '../../kernel/ipc/control.js';
import type { Assignment } from '../../kernel/ipc/ownership.js';
import { SocketMesh } from '../../kernel/ipc/socket-mesh.js';
import { openJournal } from '../../kernel/journal/open-journal.js';
import type { Clock } from '../../kernel/runtime/clock.js';
import type { Log } from '../../kernel/runtime/log.js';
import { tableDirectory } from '../../kernel/shared-memory/table-directory.js';
import type { LogLevel } from '../../kernel/telemetry/bunyan-log.js';
import type { PromMeter } from '../../kernel/telemetry/prom-meter.js';
import { runTask } from '../../threads/run-task.js';
import { MarketData } from '../market-data/market-data.js';
import type { CrashPoints } from '../orders/crash-points.js';
import { systemEntropy, uuidV7 } from '../orders/entropy.js';
import { JournaledOrderDesk } from '../orders/journaled-order-desk.js';
import type { Fence, MarkSource } from '../orders/ports.js';
import { LocalAccounts } from '../routing/local-accounts.js';
import { MeshOrderEvents } from '../routing/mesh-order-events.js';
import { MeshRouter } from '../routing/mesh-router.js';
import { OwnershipView } from '../routing/ownership-view.js';
import { PrimaryAdminDoor } from '../routing/primary-admin-door.js';
import { SessionReports } from '../routing/session-reports.js';
import { AccountHosting } from './account-hosting.js';
import { BrokerPools } from './broker-pools.js';
import { Edges } from './edges.js';
import { marksFrom } from './marks.js';
import { watchingSince } from './told-before.js';
import { upstreamAccounts } from './upstream-accounts.js';

export type StartMessage = Extract<PrimaryMessage, { readonly kind: 'start' }>;

export interface WorkerPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly setLogLevel: (level: LogLevel) => void;
  readonly meter: PromMeter;
  readonly crash: CrashPoints;
  readonly tell: (message: WorkerMessage) => void;
  /** Path of the built threads/main.js. */
  readonly threadsEntry: string;
}

/** Kept free on the disk for outcomes of what is under way. */
const JOURNAL_FREE_BYTES_MIN = 16 << 20;
const REPORT_INTERVAL_MS = 1_000;
/** A change of state is told this soon; many changes together. */
const REPORT_SOON_MS = 20;
const HOUSEKEEPING_MS = 2_000;

type Parts = Awaited<ReturnType<typeof build>>;

export class Worker {
  readonly #stop = new AbortController();
  #cancelReport: (() => void) | undefined;

  private constructor(
    private readonly ports: WorkerPorts,
    private readonly parts: Parts,
  ) {}

  /**
   * Opens everything, the accounts included, and listens: each account has been tried once when this resolves.
   * @throws GatewayError JOURNAL_LOCKED, JOURNAL_BROKEN, AUDIT_BROKEN, CONFIG_INVALID, SHARED_MEMORY_BROKEN
   */
  static async open(start: StartMessage, ports: WorkerPorts): Promise<{ worker: Worker; port: number }> {
    const onChange: { call: () => void } = { call: () => undefined };
    const parts = await build(start, ports, () => onChange.call());
    const worker = new Worker(ports, parts);
    onChange.call = () => worker.#reportSoon();
    parts.ownership.apply(start.table);
    parts.marketData.start();
    await parts.mesh.start();
    await worker.grant(start.grants);
    const port = await parts.edges.listen();
    void worker.#reportForEver();
    return { worker, port };
  }

  async grant(grants: readonly AccountGrant[]): Promise<void> {
    const { hosting, marketData, config, pools } = this.parts;
    const { alpaca } = config.now;
    const master = grants.find(({ accountId }) => accountId === MASTER_ACCOUNT_ID);
    if (master !== undefined) {
      marketData.becomeHub(upstreamAccounts(master, alpaca, pools, this.ports.clock));
    }
    const trading = grants.filter(({ accountId }) => accountId !== MASTER_ACCOUNT_ID);
    await hosting.open(trading);
    await Promise.all(
      [true, false].map((isPaper) => {
        const keys = trading
          .filter(({ paperTrading }) => paperTrading === isPaper)
          .map(({ apiKey, secretKey }) => ({ keyId: apiKey, secretKey }));
        return pools.warm(pools.tradingOrigin(isPaper), keys);
      }),
    );
    this.#reportSoon();
  }

  async release(accountIds: readonly AccountId[], deadlineMs: number): Promise<readonly Assignment[]> {
    const { hosting, marketData, mesh } = this.parts;
    if (accountIds.includes(MASTER_ACCOUNT_ID)) await marketData.resignHub();
    const released = await hosting.close(accountIds, deadlineMs);
    return released.map((assignment) => ({ ...assignment, slot: mesh.slot }));
  }

  /** Applied as a whole or not at all. @throws GatewayError CONFIG_INVALID, SECRET_INVALID when the token keys are unusable */
  async reload(config: GatewayConfig, grants: readonly AccountGrant[]): Promise<void> {
    const { verifier, desk, hosting, edges, reports } = this.parts;
    await verifier.reconfigure(config.auth);
    this.parts.config.now = config;
    this.ports.setLogLevel(config.log.level);
    desk.reload({ orders: config.orders, risk: config.risk });
    reports.keepOnly(configuredAccounts(config));
    edges.reloadTls();
    await hosting.rotate(grants, HOUSEKEEPING_MS);
  }

  heard(message: PrimaryMessage): void {
    const { ownership, admin, marketData } = this.parts;
    if (message.kind === 'ownership') ownership.apply(message.table);
    else if (message.kind === 'admin-answered') admin.answered(message.id, message.answer);
    else if (message.kind === 'readiness') admin.heardReadiness(message);
    else if (message.kind === 'execute') void this.#execute(message);
    else if (message.kind === 'collect') {
      this.ports.tell({ kind: 'collected', id: message.id, payload: this.#report(marketData.threads()) });
    }
  }

  sessionsByState(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const { state } of this.parts.local.reports()) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  }

  accounts(): number {
    return this.parts.hosting.grants().length;
  }

  /** Takes nothing new, finishes what is in flight, lets go of everything. */
  async drain(deadlineMs: number): Promise<void> {
    const { edges, hosting, desk, marketData, mesh, audit, journal, pools } = this.parts;
    await edges.close(Math.max(1, deadlineMs - HOUSEKEEPING_MS));
    this.#stop.abort();
    await hosting.closeAll(HOUSEKEEPING_MS);
    await desk.close({ deadlineMs: HOUSEKEEPING_MS });
    await marketData.close();
    await mesh.close();
    await pools.close();
    await audit.close();
    await journal.close();
  }

  async #execute({ id, request, context }: Extract<PrimaryMessage, { readonly kind: 'execute' }>): Promise<void> {
    const { answer } = await this.parts.router.execute(request, context);
    this.ports.tell({ kind: 'collected', id, payload: answer });
  }

  #report(threads: number): WorkerReport {
    return { slot: this.parts.mesh.slot, pid: process.pid, threads, sessions: this.parts.local.reports() };
  }

  #reportSoon(): void {
    this.#cancelReport ??= this.ports.clock.after(REPORT_SOON_MS, () => {
      this.#cancelReport = undefined;
      this.parts.reports.publish(this.parts.local.reports());
    });
  }

  async #reportForEver(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      await this.ports.clock.sleep(REPORT_INTERVAL_MS, this.#stop.signal);
      this.#reportSoon();
    }
  }
}

export function configuredAccounts(config: GatewayConfig): ReadonlySet<AccountId> {
  return new Set(config.tradingAccounts.map(({ accountId }) => accountId));
}

async function build(start: StartMessage, ports: WorkerPorts, onChange: () => void) {
  const { clock, log, meter } = ports;
  const given = start.config as GatewayConfig;
  const config = { now: given };
  const jitter = (): number => systemEntropy.next();
  const stores = await openStores(start.slot, given, ports);
  const { slot, slots, meshDir, meshSecret } = start;
  const mesh = new SocketMesh({ slot, slots, dir: meshDir, secret: meshSecret }, clock, log);
  const ownership = new OwnershipView();
  const marketData = new MarketData({
    ...{ mesh, clock, log, meter, jitter, runTask },
    settings: { ...given.alpaca, ...given.marketData, threads: given.cluster.threads },
    tableDirectory: tableDirectory({
      base: given.marketData.sharedMemoryDir,
      instanceId: given.cluster.instanceId,
      bootPid: start.bootPid,
      sizeMb: given.marketData.tableSizeMb,
    }),
    hubSlot: () => ownership.ownerOf(MASTER_ACCOUNT_ID)?.slot,
    threadsEntry: ports.threadsEntry,
  });
  // The desk asks the fence, and the hosting that is the fence needs the desk.
  const fence: { of: Fence } = { of: { holds: () => false } };
  const desk = openDesk(given, stores, ports, {
    fence: { holds: (accountId) => fence.of.holds(accountId) },
    marks: marksFrom(marketData.feed, clock),
  });
  const local = new LocalAccounts(desk, () => ownership.changed());
  const reports = new SessionReports(mesh);
  const router = new MeshRouter({
    ...{ mesh, local, ownership, reports, clock, meter },
    configured: () => configuredAccounts(config.now),
    newKey: () => (config.now.orders.requireIdempotencyKey ? undefined : uuidV7(clock.now(), systemEntropy)),
  });
  const events = new MeshOrderEvents({ mesh, desk, local, ownership, reports, clock });
  const admin = new PrimaryAdminDoor(ports.tell, clock);
  const pools = new BrokerPools(given.alpaca, clock);
  const hosting = new AccountHosting({
    ...{ alpaca: given.alpaca, pools, desk, local, clock, log, meter, jitter, onChange },
    watchingSince: await watchingSince(given.dataDir, clock),
  });
  fence.of = hosting;
  const { verifier } = stores;
  const edges = new Edges({ config: given, router, events, admin, marketData, verifier, clock, log, meter });
  return { ...stores, config, mesh, ownership, marketData, desk, local, reports, router, admin, pools, hosting, edges };
}

/** What refuses to open decides whether this worker can start at all; nothing is connected yet. */
async function openStores(slot: number, config: GatewayConfig, { clock, log, meter }: WorkerPorts) {
  const verifier = await JwtVerifier.open(config.auth, { clock, log });
  const journalOptions = {
    ...{ dataDir: config.dataDir, slot, freeBytesMin: JOURNAL_FREE_BYTES_MIN },
    ringSize: config.streams.ringSize,
    keepKeysDays: config.orders.keepKeysDays,
  };
  const journal = await openJournal(journalOptions, clock);
  const auditOptions = { ...AUDIT_DEFAULTS, dir: join(config.dataDir, 'audit'), writer: `worker-${slot}` };
  const audit = await openAuditLog(auditOptions, { clock, log, meter });
  return { verifier, journal, audit };
}

function openDesk(
  config: GatewayConfig,
  { journal, audit }: Awaited<ReturnType<typeof openStores>>,
  { clock, log, meter, crash }: WorkerPorts,
  around: { readonly fence: Fence; readonly marks: MarkSource },
): JournaledOrderDesk {
  return new JournaledOrderDesk(
    { journal, audit, clock, log, meter, crash, entropy: systemEntropy, ...around },
    {
      ...{ orders: config.orders, risk: config.risk },
      namespace: config.cluster.redis?.keyPrefix ?? 'opitios',
      attemptDeadlineMs: config.alpaca.requestTimeoutMs,
    },
  );
}
